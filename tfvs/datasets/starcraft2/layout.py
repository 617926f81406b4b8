"""The layout of the StarCraft II data set of the paper's authors: a CSV beside images, or a pair of HDF5 files.

Their files are not public; what is here follows from their readers of them
(https://github.com/jramapuram/datasets, ``starcraft_predict_battle.py`` and ``starcraft_predict_battle_hdf5.py``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LIST = "predictions.csv"
SCREEN, MINIMAP = "fullscreen_img", "minimap_img"
MARINES = "marine_count"
UNIT_COUNTS = (MARINES, "marauder_count", "siegetank_count", "siegetanksieged_count")
PRESENCE = ("zergling_present", "baneling_present", "hydralisk_present")
# Columns of the CSV that name no image, in the authors' order; also the columns of ``labels`` in the HDF5 files.
VALUES = (*UNIT_COUNTS, *PRESENCE, "zerg_lost", "terran_lost")
COLUMNS = ("relative_img", SCREEN, MINIMAP, *VALUES)
HDF5_FILES = {"train": "train_dataset.hdf5", "test": "test_dataset.hdf5"}
LABELS = "labels"

MOST_MARINES = 22
CLASS_NAMES = tuple(str(count) for count in range(MOST_MARINES + 1))
# The authors test on the last fifth, and have no images for validation: here these are the last tenth before it.
TEST_FIFTH, EVAL_TENTH = 5, 10


def splits_by_position(count: int) -> list[str]:
    """The split of each image of a list, by its place: train, then eval, then the last fifth for the test.

    >>> [splits_by_position(50).count(split) for split in ("train", "eval", "test")]
    [36, 4, 10]
    """
    test = count // TEST_FIFTH
    return [*training_splits(count - test), *["test"] * test]


def training_splits(count: int) -> list[str]:
    """Splits of images that are not for the test: the last tenth is for validation."""
    evaluation = count // EVAL_TENTH
    return ["train"] * (count - evaluation) + ["eval"] * evaluation


def to_csv(rows: Iterable[Mapping[str, Any]], extra: Sequence[str] = ()) -> str:
    """The list of a data set as text.

    Args:
      rows: A value per column of :data:`COLUMNS`; columns that are missing stay empty.
      extra: Further columns, such as ``split``.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *extra], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
