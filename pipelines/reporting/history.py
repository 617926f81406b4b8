"""Learning curves, from the training log that the Trainer keeps in its ``model_run``."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfvs.errors import DataError

HISTORY_FILE = "history.csv"


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


def read_history(folder: str | Path) -> list[Curve]:
    """Reads ``history.csv``; no file means no curves.

    Raises:
      DataError: The file is there, but no training log.
    """
    path = Path(folder) / HISTORY_FILE
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
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
