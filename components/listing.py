"""How much a reader lists, and what it passes over."""

from __future__ import annotations

from typing import Any

from components.sources import PassedOver, Rejected, Source

# So many files of each kind are named; all are counted.
NAMED = 3


class Listing:
    """Counts what a reader lists, item by item."""

    def __init__(self) -> None:
        self._listed = 0
        self._passed: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, item: Source | Rejected | PassedOver) -> bool:
        """Counts one; returns whether it is listed, rather than passed over."""
        if not isinstance(item, PassedOver):
            self._listed += 1
            return True
        first = self._passed.setdefault(item.reason, [])
        self._counts[item.reason] = self._counts.get(item.reason, 0) + 1
        if len(first) < NAMED:
            first.append(item.uri)
        return False

    def to_dict(self) -> dict[str, Any]:
        """``listed``, a number, and ``passed_over``: why, how many and the first of them."""
        passed = [
            {"reason": reason, "count": self._counts[reason], "first": first}
            for reason, first in sorted(self._passed.items())
        ]
        return {"listed": self._listed, "passed_over": passed}
