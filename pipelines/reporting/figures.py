"""The report's figures, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.reporting.evaluation import words
from pipelines.reporting.history import Curve
from tfvs.viz.charts import LABELLED_CLASSES, chart
from tfvs.viz.palette import INK, RIGHT, WRONG

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3


def learning_curves(curves: Sequence[Curve]) -> bytes:
    """One small panel per quantity, with training and evaluation together.

    Args:
      curves: At least one.
    """
    from matplotlib.ticker import MaxNLocator

    rows = -(-len(curves) // COLUMNS)
    with chart(10.5, 2.35 * rows) as (figure, pictures):
        for place, curve in enumerate(curves):
            axes: Axes = figure.add_subplot(rows, min(COLUMNS, len(curves)), place + 1)
            dot: dict[str, Any] = {"marker": "o", "markersize": 3} if len(curve.epochs) < 25 else {}
            axes.plot(curve.epochs, curve.train, color=RIGHT, linewidth=1.6, label="training", **dot)
            if curve.validation is not None:
                axes.plot(curve.epochs, curve.validation, color=WRONG, linewidth=1.6, label="evaluation",
                          linestyle=(0, (4, 1.5)), **dot)  # fmt: skip
            axes.set_title(words(curve.name), fontsize=9.5, loc="left", color=INK)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if place == 0:
                axes.legend(frameon=False, fontsize=8)
            if place >= len(curves) - COLUMNS:
                axes.set_xlabel("epoch")
    return pictures[0]


def class_counts_figure(counts: dict[str, np.ndarray], class_names: Sequence[str]) -> bytes:
    """Images per class, one bar per split, as shares of the split so that splits of different size compare.

    Args:
      counts: Split → ``[K]`` counts.
      class_names: K names.
    """
    from tfvs.viz.palette import STEP_COLOURS

    colours = (RIGHT, STEP_COLOURS[0], STEP_COLOURS[2], STEP_COLOURS[4])
    with chart(10.5, 2.7) as (figure, pictures):
        axes: Axes = figure.add_subplot()
        width = 0.8 / max(len(counts), 1)
        for place, (split, values) in enumerate(counts.items()):
            at = np.arange(len(class_names)) + (place - (len(counts) - 1) / 2) * width
            shares = 100.0 * values / max(values.sum(), 1)
            axes.bar(at, shares, width, color=colours[place % len(colours)], label=f"{split} ({int(values.sum()):,})")
        ticks = range(len(class_names)) if len(class_names) <= LABELLED_CLASSES else []
        crowded = sum(map(len, class_names)) > 110
        axes.set_xticks(ticks, class_names[: len(ticks)], rotation=90 if crowded else 0, fontsize=8)
        for label in axes.get_xticklabels():
            label.set_parse_math(False)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("% of the split")
        axes.legend(frameon=False, fontsize=8, ncols=4, loc="upper left", bbox_to_anchor=(0, 1.16))
    return pictures[0]
