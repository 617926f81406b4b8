"""The kinds of units of simulated battles: six, of which the siege tank has two poses."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of unit.

    Attributes:
      terran: Whether it belongs to the marines' side, the Terran; else to the Zerg.
      radius: Radius on the ground, in thousandths of the map's side.
      dot_px: Side of its dot on a minimap of 64 × 64, pixels: the same for kinds that it cannot tell apart.
    """

    terran: bool
    radius: float
    dot_px: int


KINDS = {
    "marine": Kind(True, 11.0, 1),
    "marauder": Kind(True, 12.5, 1),
    "siegetank": Kind(True, 20.0, 2),
    "siegetanksieged": Kind(True, 21.0, 2),
    "zergling": Kind(False, 9.5, 1),
    "baneling": Kind(False, 11.0, 1),
    "hydralisk": Kind(False, 14.0, 1),
}
NAMES = tuple(KINDS)
