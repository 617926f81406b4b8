"""Charts as PNG pictures: confusion matrix and calibration, in the style of the reports."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from tfvs.viz.palette import FAINT, INK, RIGHT, RULE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 160
LABELLED_CLASSES = 60  # with more classes names would be too small to read
COUNTED_CLASSES = 20


@contextmanager
def chart(width: float, height: float) -> Iterator[tuple[Figure, list[bytes]]]:
    """A figure in the style of the reports; on leaving, its PNG is put into the list.

    Args:
      width: Inches.
      height: Inches.

    Yields:
      The figure, and the list.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {
        "font.family": ["DejaVu Sans"], "font.size": 8.5, "text.color": INK, "axes.edgecolor": RULE,
        "axes.labelcolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT, "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.color": RULE, "grid.linewidth": 0.6,
        "axes.axisbelow": True, "text.parse_math": False,
    }  # fmt: skip
    pictures: list[bytes] = []
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **style}):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield figure, pictures
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.05, metadata={"Software": None}
        )
        pictures.append(buffer.getvalue())


def words(name: str) -> str:
    """The name of a metric as it is read.

    >>> words("sparse_categorical_accuracy")
    'accuracy'
    """
    return name.removeprefix("sparse_categorical_").replace("_", " ")


def confusion_figure(confusion: np.ndarray, class_names: Sequence[str]) -> bytes:
    """The confusion matrix: each row's shares as colour, counts as numbers where they can be read.

    Args:
      confusion: ``[K, K]`` counts, true class by predicted class.
      class_names: K names.
    """
    count = len(class_names)
    side = min(max(2.2 + 0.32 * count, 3.6), 10.0)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1.0)
    with chart(side + 0.7, side) as (figure, pictures):
        axes: Axes = figure.add_subplot()
        axes.grid(False)
        image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        ticks = range(count) if count <= LABELLED_CLASSES else []
        size = min(8.5, 340.0 / max(count, 1))
        names = [name if len(name) <= 22 else f"{name[:20]}…" for name in class_names]
        axes.set_xticks(ticks, names[: len(ticks)], rotation=90, fontsize=size)
        axes.set_yticks(ticks, names[: len(ticks)], fontsize=size)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.tick_params(length=0)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)
        if count <= COUNTED_CLASSES:
            for row, column in np.argwhere(confusion > 0):
                ink = "white" if shares[row, column] > 0.55 else INK
                text = f"{confusion[row, column]:g}"
                axes.text(column, row, text, ha="center", va="center", fontsize=size, color=ink)
        bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02)
        bar.ax.set_frame_on(False)
        bar.set_label("share of the true class")
    return pictures[0]


def calibration_figure(stated: Sequence[float], observed: Sequence[float], counts: Sequence[float]) -> bytes:
    """Stated against observed probability, with the number of cases below.

    Args:
      stated: Mean probability of each bucket, in [0, 1].
      observed: Share of each bucket that came true.
      counts: Cases of each bucket.
    """
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    with chart(3.9, 4.4) as (figure, pictures):
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        upper.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)), label="perfect")
        upper.plot(stated, observed, color=RIGHT, marker="o", markersize=4, label="model")
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1)
        upper.set_ylabel("share that came true")
        upper.legend(frameon=False, fontsize=8, loc="upper left")
        lower.bar(stated, counts, width=0.05, color=RIGHT)
        lower.set_yscale("log")
        lower.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        lower.yaxis.set_minor_formatter(NullFormatter())
        lower.set_ylabel("cases")
        lower.set_xlabel("stated probability")
    return pictures[0]
