"""The gradient of the loss with respect to the choice of cells: score functions and their weights."""

from __future__ import annotations

PLACE_GRADIENTS = ("counterfactual", "reinforce", "attention")
