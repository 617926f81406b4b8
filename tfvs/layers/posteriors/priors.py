"""Priors over places: p(k) over the cells of the proxy's map, before anything is learned about classes."""

from __future__ import annotations

PLACE_PRIORS = ("contrast", "uniform", "surprise", "learned")
