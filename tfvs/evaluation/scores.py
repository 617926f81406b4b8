"""Scores of a classifier with 95 % intervals: accuracy, balanced accuracy, by class, by image size, calibration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfvs.errors import InputError
from tfvs.evaluation.calibration import Calibration, calibration_of_answers

Z95 = 1.959963984540054  # the 97.5th percentile of the standard normal distribution
SIZE_GROUPS = 3


@dataclass(frozen=True)
class Share:
    """A share of cases with its 95 % interval.

    Attributes:
      value: In [0, 1]; not a number where there are no cases.
      low: Lower end of the interval.
      high: Upper end of the interval.
      cases: How many cases there are.
    """

    value: float
    low: float
    high: float
    cases: int

    def __str__(self) -> str:
        if not self.cases:
            return "no cases"
        return (
            f"{100 * self.value:.1f} % (95 % interval {100 * self.low:.1f} to {100 * self.high:.1f}, n = {self.cases})"
        )


def share(successes: int, cases: int) -> Share:
    """A share with Wilson's score interval (Wilson 1927), which holds for few cases and for shares near 0 and 1.

    Args:
      successes: At most ``cases``.
      cases: 0 or more.

    >>> round(share(8, 10).low, 4), round(share(8, 10).high, 4)
    (0.4902, 0.9433)
    """
    if not cases:
        return Share(math.nan, math.nan, math.nan, 0)
    p, z2 = successes / cases, Z95**2
    centre = (p + z2 / (2 * cases)) / (1 + z2 / cases)
    half = Z95 * math.sqrt(p * (1 - p) / cases + z2 / (4 * cases**2)) / (1 + z2 / cases)
    return Share(p, max(centre - half, 0.0), min(centre + half, 1.0), cases)


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model scores on labelled images.

    Attributes:
      accuracy: Share of images whose most probable class is the label.
      balanced_accuracy: Mean of the recalls of the classes that occur, with the interval of a stratified sample.
      majority: Share of the most frequent class: the accuracy of the best constant answer.
      recall: Per class, the share of its images that are recognised.
      precision: Per class, the share of its predictions that are right.
      confusion: ``[K, K]`` int, true class by predicted class.
      calibration: Calibration of the probability of the predicted class.
      by_size: Name of a group of image sizes → accuracy; empty where all images have one size.
      unreadable: Images that the model could not read; they count as wrong nowhere and are named here.
    """

    accuracy: Share
    balanced_accuracy: Share
    majority: float
    recall: Sequence[Share]
    precision: Sequence[Share]
    confusion: np.ndarray
    calibration: Calibration
    by_size: dict[str, Share]
    unreadable: int = 0

    def to_dict(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Plain values for JSON; shares as ``[value, low, high, cases]``.

        Args:
          class_names: K names.
        """

        def plain(value: Share) -> list[float | int | None]:
            return [None if math.isnan(v) else round(v, 6) for v in (value.value, value.low, value.high)] + [
                value.cases
            ]

        return {
            "accuracy": plain(self.accuracy),
            "balanced_accuracy": plain(self.balanced_accuracy),
            "majority_class": round(self.majority, 6),
            "recall": {name: plain(value) for name, value in zip(class_names, self.recall, strict=True)},
            "precision": {name: plain(value) for name, value in zip(class_names, self.precision, strict=True)},
            "confusion": self.confusion.tolist(),
            "expected_calibration_error": round(self.calibration.error, 6),
            "accuracy_by_size": {name: plain(value) for name, value in self.by_size.items()},
            "unreadable": self.unreadable,
        }


def score(
    probabilities: np.ndarray, labels: np.ndarray, sizes: np.ndarray | None = None, *, unreadable: int = 0
) -> Scores:
    """Scores a model's answers.

    Args:
      probabilities: ``[N, K]`` float.
      labels: ``[N]`` int, in [0, K).
      sizes: ``[N, 2]`` height and width of each image, pixels; None for no groups of sizes.
      unreadable: Images that the model could not read.

    Returns:
      The scores.

    Raises:
      InputError: There are no answers, or labels outside the classes.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise InputError(
            "There is nothing to score",
            expected="probabilities [N, K] and labels [N], N at least 1",
            received=f"{probabilities.shape} and {labels.shape}",
        )
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError("Labels lie outside the classes", expected=f"0 to {classes - 1}", received=np.unique(labels))
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros([classes, classes], np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    hits = confusion.diagonal()
    recall = [share(int(hit), int(count)) for hit, count in zip(hits, confusion.sum(axis=1), strict=True)]
    return Scores(
        accuracy=share(int(hits.sum()), len(labels)),
        balanced_accuracy=_balanced(recall),
        majority=float(confusion.sum(axis=1).max() / len(labels)),
        recall=recall,
        precision=[share(int(hit), int(count)) for hit, count in zip(hits, confusion.sum(axis=0), strict=True)],
        confusion=confusion,
        calibration=calibration_of_answers(probabilities, labels),
        by_size={} if sizes is None else _by_size(predicted == labels, np.asarray(sizes)),
        unreadable=unreadable,
    )


def _balanced(recall: Sequence[Share]) -> Share:
    """The mean recall of the classes that occur; the variance of a stratified sample is the sum of the classes'."""
    present = [value for value in recall if value.cases]
    mean = sum(value.value for value in present) / len(present)
    # One success and one failure are added to each class, so that a class without errors does not count as certain.
    smooth = [((value.value * value.cases + 1) / (value.cases + 2), value.cases) for value in present]
    half = Z95 * math.sqrt(sum(p * (1 - p) / cases for p, cases in smooth)) / len(present)
    return Share(mean, max(mean - half, 0.0), min(mean + half, 1.0), sum(value.cases for value in present))


def _by_size(right: np.ndarray, sizes: np.ndarray) -> dict[str, Share]:
    """Accuracy of small, middle and large images, by megapixels; nothing where all have one size."""
    megapixels = sizes.prod(axis=1) / 1e6
    if np.ptp(megapixels) == 0:
        return {}
    edges = np.unique(np.quantile(megapixels, np.linspace(0, 1, SIZE_GROUPS + 1)))
    groups = {}
    for low, high in itertools.pairwise(edges):
        inside = (megapixels >= low) & ((megapixels < high) | (high == edges[-1]))
        groups[f"{low:.3g} to {high:.3g} megapixels"] = share(int(right[inside].sum()), int(inside.sum()))
    return groups
