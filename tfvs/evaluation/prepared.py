"""Evaluates an exported model on one split of a prepared data set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfvs.data.dataset import find_files, read_labels
from tfvs.errors import DataError
from tfvs.evaluation.answers import Answer, choose, read_answers, to_saccades
from tfvs.evaluation.scores import Scores, score
from tfvs.viz.saccade import Saccade

RECORDS, PYRAMIDS = "records", "pyramids"


@dataclass(frozen=True)
class PreparedSet:
    """The folder that ``tfvs prepare`` writes: ``records`` and ``pyramids``.

    Attributes:
      folder: The folder.

    Raises:
      DataError: There are no records in it.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / RECORDS).is_dir():
            raise DataError(
                "The folder holds no prepared data set",
                expected=f"a folder with {RECORDS}/ and {PYRAMIDS}/",
                received=self.folder,
                mend="Prepare the images first: python -m components.prepare --input PHOTOS --output FOLDER",
            )

    @property
    def pyramids(self) -> Path:
        """The root of the pyramids."""
        return self.folder / PYRAMIDS

    @property
    def splits(self) -> list[str]:
        """Names of the splits, sorted."""
        prefix = "Split-"
        found = [entry.name for entry in (self.folder / RECORDS).iterdir() if entry.is_dir()]
        return sorted(name.removeprefix(prefix) for name in found if name.startswith(prefix))

    def files(self, split: str) -> list[str]:
        """Record files of a split.

        Raises:
          DataError: There is no such split.
        """
        if split not in self.splits:
            raise DataError("The prepared data set has no such split", expected=self.splits, received=split)
        return find_files(str(self.folder / RECORDS / f"Split-{split}" / "*"))


@dataclass(frozen=True, eq=False)
class Result:
    """Scores of a model, and answers to show.

    Attributes:
      scores: The scores.
      right: Right answers, the surest first.
      wrong: Wrong answers, the surest first.
    """

    scores: Scores
    right: list[Saccade]
    wrong: list[Saccade]


def evaluate_prepared(
    model_dir: str | os.PathLike[str],
    prepared: PreparedSet,
    class_names: list[str],
    *,
    split: str = "test",
    shown: int = 6,
) -> Result:
    """Asks an exported model about every labelled image of a split, and scores the answers.

    Args:
      model_dir: SavedModel.
      prepared: The data set.
      class_names: The model's classes, in the order of the labels.
      split: Name of the split.
      shown: How many right and how many wrong answers are read as pictures.

    Returns:
      The scores and the pictures.

    Raises:
      DataError: The split has no labelled images, labels are outside the classes, or no image can be read.
    """
    files = prepared.files(split)
    labels = read_labels(files)
    labelled = int(np.count_nonzero(labels >= 0))
    if not labelled:
        raise DataError("The split has no labelled images", received=f"{split}: {len(labels)} images without a label")
    if labels.max() >= len(class_names):
        raise DataError(
            "The data set has other classes than the model",
            expected=f"labels 0 to {len(class_names) - 1}: {', '.join(class_names[:10])}",
            received=f"label {labels.max()}",
        )
    answers = read_answers(model_dir, files, limit=len(labels))
    if not answers:
        raise DataError(
            "The model can read none of the images",
            expected=f"{prepared.pyramids} among the folders it may read",
            mend=f"Add that folder as a line to {Path(model_dir, 'assets', 'image_roots.txt')}",
        )
    right, wrong = (to_saccades(chosen, prepared.pyramids, class_names) for chosen in choose(answers, shown))
    return Result(_score(answers, labelled), right, wrong)


def _score(answers: list[Answer], labelled: int) -> Scores:
    return score(
        np.stack([answer.probabilities for answer in answers]),
        np.array([answer.record.label for answer in answers]),
        np.array([(answer.record.index.height, answer.record.index.width) for answer in answers]),
        unreadable=labelled - len(answers),
    )
