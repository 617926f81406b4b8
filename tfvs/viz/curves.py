"""Learning curves, from a training's log to a picture and to text."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfvs.errors import DataError
from tfvs.preparation import files
from tfvs.viz.charts import chart, words
from tfvs.viz.palette import INK, RIGHT, WRONG

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HISTORY_FILE = "history.csv"
COLUMNS = 3
BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs.

    Attributes:
      name: Name of the quantity.
      epochs: Counted from 1.
      train: One value per epoch; not a number where there is none.
      validation: The same on the evaluation split, or None.
    """

    name: str
    epochs: Sequence[float]
    train: Sequence[float]
    validation: Sequence[float] | None


def read_history(folder: str | os.PathLike[str]) -> list[Curve]:
    """Reads ``history.csv``; no file means no curves.

    Raises:
      DataError: The file is there, but no training log.
    """
    path = files.join(os.fspath(folder), HISTORY_FILE)
    if not files.exists(path):
        return []
    rows = list(csv.DictReader(io.StringIO(files.read(path).decode(), newline="")))
    if rows and "epoch" not in rows[0]:
        raise DataError(
            "The training log has no epochs", expected="a column epoch", received=f"{path}: {list(rows[0])}"
        )
    return curves(rows)


def curves(rows: Sequence[dict[str, str]]) -> list[Curve]:
    """Pairs every quantity with its ``val_`` twin; the loss and the accuracies come first.

    An epoch that was run again after a restart counts once, with its last values.

    Args:
      rows: Column → text, one per epoch.
    """
    last = {row["epoch"]: row for row in rows}
    kept = sorted(last.values(), key=lambda row: float(row["epoch"]))
    names = [name for name in (kept[0] if kept else {}) if name not in (None, "epoch") and not name.startswith("val_")]
    epochs = [float(row["epoch"]) + 1 for row in kept]
    found = []
    for name in sorted(names, key=lambda name: (name != "loss", "accuracy" not in name)):
        twin = f"val_{name}"
        validation = [_number(row.get(twin)) for row in kept] if twin in kept[0] else None
        found.append(Curve(name, epochs, [_number(row.get(name)) for row in kept], validation))
    return found


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def curves_as_text(curves: Sequence[Curve]) -> str:
    """A line per quantity: its course from lowest to highest value as bars, and its last values.

    >>> print(curves_as_text([Curve("loss", [1, 2, 3], [4.0, 2.0, 0.0], [4.0, 3.0, 2.0])]))
    loss        training   █▅▁  4 → 0            evaluation █▅▁  4 → 2
    """
    lines = []
    for curve in curves:
        shown = [f"training   {_bars(curve.train)}"]
        if curve.validation is not None:
            shown.append(f"evaluation {_bars(curve.validation)}")
        lines.append(f"{words(curve.name):12s}" + "  ".join(f"{text:31s}" for text in shown).rstrip())
    return "\n".join(lines)


def _bars(values: Sequence[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return "no values"
    low, high = min(known), max(known)
    marks = (1 + round(7 * (value - low) / (high - low)) if high > low else 8 for value in known)
    return f"{''.join(BARS[mark] for mark in marks)}  {known[0]:.3g} → {known[-1]:.3g}"


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
