"""The colours of the pictures: colour-blind readers can tell them apart (Okabe and Ito), and they show on white."""

from __future__ import annotations

# One colour per step, in order; each differs from its neighbours in lightness as well as in hue.
STEP_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#0072B2", "#D55E00", "#C9C9C9")

RIGHT = "#0072B2"
WRONG = "#D55E00"
OTHER = "#B8BEC6"
INK = "#1B1F24"
FAINT = "#6B7280"
TRACK = "#EDF0F3"
RULE = "#DFE3E8"


def step_colour(step: int) -> str:
    """The colour of a step, counted from 0; they repeat after eight.

    >>> step_colour(0)
    '#E69F00'
    >>> step_colour(8) == step_colour(0)
    True
    """
    return STEP_COLOURS[step % len(STEP_COLOURS)]


def text_colour(background: str) -> str:
    """Black or white, whichever reads better on a ``#RRGGBB`` background.

    >>> text_colour("#F0E442"), text_colour("#0072B2")
    ('#1B1F24', '#FFFFFF')
    """
    red, green, blue = (int(background[i : i + 2], 16) for i in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"
