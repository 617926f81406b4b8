"""How much a reader lists, and what it passes over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfvs.preparation.readers import Reader
from tfvs.preparation.sources import PassedOver, Rejected, Source

# So many files of each kind are named; all are counted.
NAMED = 3


class Listing:
    """Counts what a reader lists, item by item.

    Attributes:
      listed: How many, without those that are passed over.
    """

    def __init__(self) -> None:
        self.listed = 0
        self._passed: dict[str, tuple[int, list[str]]] = {}

    def add(self, item: Source | Rejected | PassedOver) -> bool:
        """Counts one; returns whether it is listed, rather than passed over."""
        if not isinstance(item, PassedOver):
            self.listed += 1
            return True
        _count(self._passed, item.reason, item.uri)
        return False

    def to_dict(self) -> dict[str, Any]:
        """``listed``, a number, and ``passed_over``: why, how many and the first of them."""
        return {"listed": self.listed, "passed_over": _told(self._passed)}


def list_only(reader: Reader) -> dict[str, Any]:
    """What a job would convert: counts by class, what is passed over, and the first refused lines."""
    labels: dict[int, int] = {}
    rejected: list[Rejected] = []
    listing = Listing()
    for item in reader.read():
        listing.add(item)
        if isinstance(item, Rejected):
            rejected.append(item)
        elif isinstance(item, Source):
            labels[item.label] = labels.get(item.label, 0) + 1
    return {
        "class_names": list(reader.class_names()),
        **listing.to_dict(),
        "rejected": len(rejected),
        "labels": {str(label): count for label, count in sorted(labels.items())},
        "first_rejected": [item.to_dict() for item in rejected[:10]],
    }


def grouped(items: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Reasons with how many items have each and the first of these.

    >>> grouped([("dark", "a"), ("dark", "b")])
    [{'reason': 'dark', 'count': 2, 'first': ['a', 'b']}]
    """
    found: dict[str, tuple[int, list[str]]] = {}
    for reason, item in items:
        _count(found, reason, item)
    return _told(found)


def _count(found: dict[str, tuple[int, list[str]]], reason: str, item: str) -> None:
    count, first = found.get(reason, (0, []))
    found[reason] = count + 1, [*first, item] if count < NAMED else first


def _told(found: dict[str, tuple[int, list[str]]]) -> list[dict[str, Any]]:
    return [{"reason": reason, "count": count, "first": first} for reason, (count, first) in sorted(found.items())]
