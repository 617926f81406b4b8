"""The report's figure of classes, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfvs.viz.charts import LABELLED_CLASSES, chart
from tfvs.viz.palette import RIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
