"""Pictures of the units of simulated battles, drawn with Pillow from simple shapes; nothing is taken from the game.

Marines and marauders wear the same armour in the same colours: a marauder has wider shoulders and two launchers in
place of one rifle. Their sizes overlap, so that neither size nor colour tells them apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from tfvs.datasets.starcraft2.units import KINDS, Kind

# Each drawing is made so many times larger than it is shown.
OVERSAMPLING = 4
DIRECTIONS = 16
SHADES = 3
_OUTLINE = (24, 24, 28, 255)
_SHADOW = (0, 0, 0, 96)
_STEEL, _DARK = (128, 134, 142), (62, 66, 72)
# Team colours, by shade.
_TERRAN = ((64, 104, 196), (52, 88, 170), (82, 122, 210))
_ZERG = ((150, 74, 58), (128, 60, 50), (166, 92, 66))
Colour = tuple[int, int, int]
Point = tuple[float, float]


class _Pen:
    """Draws in units of the figure's radius around its middle, turned; y points down."""

    def __init__(self, draw: ImageDraw.ImageDraw, middle: float, radius: float, angle: float) -> None:
        self._draw, self._middle, self._radius = draw, middle, radius
        self._cos, self._sin = float(np.cos(angle)), float(np.sin(angle))

    def _place(self, x: float, y: float) -> Point:
        turned = self._cos * x - self._sin * y, self._sin * x + self._cos * y
        return self._middle + self._radius * turned[0], self._middle + self._radius * turned[1]

    def disc(self, x: float, y: float, radius: float, fill: Colour, *, outline: bool = True) -> None:
        """A disc at (x, y)."""
        (cx, cy), r = self._place(x, y), radius * self._radius
        edge = _OUTLINE if outline else None
        self._draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(*fill, 255), outline=edge, width=OVERSAMPLING)

    def shape(self, points: list[Point], fill: Colour) -> None:
        """A polygon."""
        self._draw.polygon(
            [self._place(*point) for point in points], fill=(*fill, 255), outline=_OUTLINE, width=OVERSAMPLING
        )

    def bar(self, start: Point, end: Point, width: float, fill: Colour) -> None:
        """A thick line."""
        points = [self._place(*start), self._place(*end)]
        self._draw.line(points, fill=_OUTLINE, width=round(width * self._radius) + 2 * OVERSAMPLING)
        self._draw.line(points, fill=(*fill, 255), width=round(width * self._radius))


@functools.lru_cache(maxsize=4096)
def sprite(name: str, radius_px: int, direction: int, shade: int) -> Image.Image:
    """One unit with its shadow, ``RGBA``; its middle is the picture's.

    Args:
      name: A key of :data:`tfvs.datasets.starcraft2.units.KINDS`.
      radius_px: Radius of the unit on the screen, pixels.
      direction: Where it looks: 0 to ``DIRECTIONS``.
      shade: Which of the team's colours, 0 to ``SHADES``.
    """
    kind = KINDS[name]
    side = 4 * radius_px * OVERSAMPLING
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    middle, radius = side / 2, radius_px * OVERSAMPLING
    draw.ellipse(  # the sun stands in the upper left
        (middle - 0.75 * radius, middle - 0.4 * radius, middle + 1.35 * radius, middle + 1.15 * radius), fill=_SHADOW
    )
    pen = _Pen(draw, middle, radius, 2 * np.pi * direction / DIRECTIONS)
    _DRAWN[name](pen, _team(kind, shade))
    return image.resize((4 * radius_px, 4 * radius_px), Image.Resampling.BOX)


@functools.lru_cache(maxsize=64)
def explosion(radius_px: int, seed: int) -> Image.Image:
    """A burst of light, ``RGBA``, by its size and one of a few seeds."""
    random = np.random.default_rng(seed)
    side = 2 * radius_px
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    angle, distance = np.arctan2(y, x), np.hypot(y, x) / radius_px
    spikes = sum(random.uniform(0.05, 0.15) * np.cos(n * angle + random.uniform(0, 6.3)) for n in (3, 5, 8))
    glow = np.clip(1.2 - distance / (0.8 + spikes), 0, 1)
    alpha = np.where(distance < 1, glow**1.5, 0)
    rgb = [255 * np.clip(share + 0.4 * glow, 0, 1) for share in (0.95, 0.6, 0.2)]
    return Image.fromarray(np.stack([*rgb, 255 * alpha], -1).astype(np.uint8), "RGBA")


def _team(kind: Kind, shade: int) -> Colour:
    return (_TERRAN if kind.terran else _ZERG)[shade]


def _marine(pen: _Pen, team: Colour) -> None:
    pen.bar((0.25, 0.35), (1.25, 0.2), 0.2, _DARK)  # the rifle
    pen.disc(-0.1, -0.62, 0.36, team)
    pen.disc(-0.1, 0.62, 0.36, team)
    pen.disc(0, 0, 0.56, _STEEL)
    pen.disc(0.18, 0, 0.3, team)
    pen.disc(0.34, 0, 0.14, (236, 196, 90), outline=False)  # the visor


def _marauder(pen: _Pen, team: Colour) -> None:
    for side in (-1, 1):
        pen.bar((-0.1, 0.66 * side), (0.85, 0.6 * side), 0.34, _DARK)  # the launchers
        pen.disc(-0.15, 0.66 * side, 0.42, team)
    pen.disc(-0.05, 0, 0.6, _STEEL)
    pen.disc(0.14, 0, 0.3, team)
    pen.disc(0.32, 0, 0.14, (236, 196, 90), outline=False)


def _tank(pen: _Pen, team: Colour) -> None:
    for side in (-1, 1):
        pen.shape([(-1, 0.5 * side), (1, 0.5 * side), (1, 0.8 * side), (-1, 0.8 * side)], _DARK)
    pen.shape([(-0.9, -0.55), (0.8, -0.5), (0.95, 0), (0.8, 0.5), (-0.9, 0.55)], _STEEL)
    pen.disc(-0.15, 0, 0.42, team)
    pen.bar((0.1, 0), (1.3, 0), 0.16, _DARK)


def _sieged_tank(pen: _Pen, team: Colour) -> None:
    for x, y in ((-0.8, -0.9), (-0.8, 0.9), (0.7, -0.9), (0.7, 0.9)):
        pen.bar((0.3 * x, 0.3 * y), (x, y), 0.2, _DARK)  # the struts
    _tank(pen, team)
    pen.bar((0.1, 0), (1.6, 0), 0.24, _STEEL)


def _zergling(pen: _Pen, team: Colour) -> None:
    for x in (-0.5, 0.0, 0.5):
        pen.bar((x, -0.7), (x, 0.7), 0.12, _DARK)
    pen.shape([(-0.9, 0), (-0.4, -0.34), (0.5, -0.3), (1, 0), (0.5, 0.3), (-0.4, 0.34)], team)
    pen.disc(0.6, 0, 0.22, (196, 140, 96))


def _baneling(pen: _Pen, team: Colour) -> None:
    pen.disc(0, 0, 0.9, (118, 160, 62))
    pen.disc(0.25, -0.2, 0.34, (168, 206, 96), outline=False)
    pen.disc(0.75, 0, 0.28, team)


def _hydralisk(pen: _Pen, team: Colour) -> None:
    for n, x in enumerate((-1.0, -0.7, -0.4, -0.1)):
        pen.disc(x, 0.3 * (-1) ** n, 0.28 + 0.06 * n, team)
    pen.shape([(-0.2, -0.6), (0.5, -0.4), (0.5, 0.4), (-0.2, 0.6)], team)
    pen.disc(0.6, 0, 0.34, (178, 118, 82))
    for side in (-1, 1):
        pen.bar((0.4, 0.5 * side), (1.1, 0.75 * side), 0.12, _DARK)


_DRAWN: dict[str, Callable[[_Pen, Colour], None]] = {
    "marine": _marine,
    "marauder": _marauder,
    "siegetank": _tank,
    "siegetanksieged": _sieged_tank,
    "zergling": _zergling,
    "baneling": _baneling,
    "hydralisk": _hydralisk,
}
