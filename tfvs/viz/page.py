"""A figure addressed in inches from its top left corner, so that text looks the same whatever the page's height."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfvs.viz.palette import RULE, step_colour, text_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BADGE = 0.20  # inches, the square that carries a step's number


class Page:
    """Draws on a figure; every position and length is in inches, the origin is the top left corner."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """An empty place to draw in, without a frame."""
        axes = self.figure.add_axes(
            (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        )
        axes.set_axis_off()
        return axes

    def picture(self, pixels: np.ndarray, x: float, y: float, width: float, height: float) -> Axes:
        """Shows an image that fills its place exactly, with a thin line around it."""
        axes = self.axes(x, y, width, height)
        axes.imshow(pixels, aspect="auto", extent=(0, 1, 1, 0), interpolation="auto")
        self.rectangle(x, y, width, height, "none", edge=RULE)
        return axes

    def overlay(self, rgba: np.ndarray, x: float, y: float, width: float, height: float) -> None:
        """Lays a transparent image over what is there; its pixels keep their edges."""
        self.axes(x, y, width, height).imshow(rgba, aspect="auto", extent=(0, 1, 1, 0), interpolation="nearest")

    def text(self, x: float, y: float, text: str, size: float, **style: Any) -> None:
        """A line of text, taken literally; ``y`` is its middle."""
        options = {"va": "center", "ha": "left", **style}
        self.figure.text(x / self.width, 1 - y / self.height, text, fontsize=size, parse_math=False, **options)

    def text_width(self, text: str, size: float, weight: str = "normal") -> float:
        """Width of a line, inches."""
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import text_to_path

        width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), False)
        return width / 72.0

    def fit(self, text: str, width: float, size: float, weight: str = "normal") -> str:
        """The line, shortened in its middle if it is wider than ``width`` inches, since names differ at their ends."""
        text = " ".join(text.split())
        if self.text_width(text, size, weight) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            kept = (low + high + 1) // 2
            if self.text_width(_cut(text, kept), size, weight) <= width:
                low = kept
            else:
                high = kept - 1
        return _cut(text, low)

    def rectangle(
        self, x: float, y: float, width: float, height: float, colour: str, edge: str = "none", line: float = 0.8
    ) -> None:
        """A rectangle on top of what is there; ``line`` is its edge's width in points."""
        from matplotlib.patches import Rectangle

        self.figure.add_artist(
            Rectangle(
                (x / self.width, 1 - (y + height) / self.height), width / self.width, height / self.height,
                facecolor=colour, edgecolor=edge, linewidth=line, transform=self.figure.transFigure,
            )
        )  # fmt: skip

    def badge(self, x: float, y: float, step: int, edge: str = "white") -> None:
        """The number of a step on its colour; ``x``, ``y`` is the badge's top left corner."""
        colour = step_colour(step)
        self.rectangle(x, y, BADGE, BADGE, colour, edge=edge)
        self.text(
            x + BADGE / 2, y + BADGE / 2 + 0.005, str(step + 1), 8.5,
            ha="center", color=text_colour(colour), weight="bold",
        )  # fmt: skip


def _cut(text: str, kept: int) -> str:
    """The first and last characters of a text, ``kept`` in all.

    >>> _cut("abcdefgh", 4)
    'abc…h'
    """
    tail = kept // 3
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"
