from __future__ import annotations

from tests.graphs import plain_graphs

__all__ = ["plain_graphs"]
