"""Evaluates an exported model on one split of a prepared data set, with proxies as the model wants them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfvs.data.dataset import read_labels
from tfvs.errors import DataError
from tfvs.evaluation.answers import Answer, choose, read_answers, to_saccades
from tfvs.evaluation.scores import Scores, score
from tfvs.export.description import read_description
from tfvs.preparation.prepared import PreparedSet
from tfvs.viz.saccade import Saccade


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
    files = prepared.files(split, read_description(model_dir).proxy)
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
