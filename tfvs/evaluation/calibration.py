"""Calibration: how often a stated probability comes true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """How often a stated probability comes true, bucket by bucket.

    Attributes:
      stated: Mean probability of each bucket, in [0, 1].
      observed: Share that came true.
      counts: How many probabilities there are.
      what: Which probabilities were taken.
    """

    stated: Sequence[float]
    observed: Sequence[float]
    counts: Sequence[float]
    what: str

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of stated from observed, weighted by the counts."""
        weights = np.asarray(self.counts, np.float64)
        distances = np.abs(np.asarray(self.stated) - np.asarray(self.observed))
        return float(np.sum(weights * distances) / max(np.sum(weights), 1e-12))


def calibration_of_answers(probabilities: np.ndarray, labels: np.ndarray, buckets: int = 10) -> Calibration:
    """Calibration of the predicted class' probability.

    Args:
      probabilities: ``[N, K]`` float.
      labels: ``[N]`` int.
      buckets: Number of buckets, all of the same width.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * buckets).astype(int), buckets - 1)
    filled = [bucket for bucket in range(buckets) if np.any(which == bucket)]
    return Calibration(
        stated=[float(confidence[which == bucket].mean()) for bucket in filled],
        observed=[float(right[which == bucket].mean()) for bucket in filled],
        counts=[float(np.sum(which == bucket)) for bucket in filled],
        what="the predicted class' probability",
    )
