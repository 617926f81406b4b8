"""Scores against scikit-learn, SciPy and counts by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfvs.errors import InputError
from tfvs.evaluation.scores import score, share

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(("successes", "cases"), [(0, 1), (1, 1), (0, 30), (8, 10), (30, 30), (513, 1000)])
def test_intervals_are_wilson_s(successes: int, cases: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(successes, cases).proportion_ci(method="wilson")
    found = share(successes, cases)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_scores_are_scikit_learn_s() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    probabilities = RNG.dirichlet([1, 1, 1, 1], 500)
    labels = np.where(RNG.random(500) < 0.6, probabilities.argmax(1), RNG.integers(0, 3, 500))  # class 3 is rare
    found, predicted = score(probabilities, labels), probabilities.argmax(1)
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.balanced_accuracy.value == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(labels, predicted))
    precision, recall, _, _ = metrics.precision_recall_fscore_support(labels, predicted)
    np.testing.assert_allclose([value.value for value in found.recall], recall)
    np.testing.assert_allclose([value.value for value in found.precision], precision)


def test_the_interval_of_balanced_accuracy_covers_the_truth() -> None:
    recalls, counts, covered = np.array([0.95, 0.6, 0.8]), np.array([200, 30, 60]), 0
    labels = np.repeat(np.arange(3), counts)
    for _ in range(400):
        right = RNG.random(len(labels)) < recalls[labels]
        predicted = np.where(right, labels, (labels + 1) % 3)
        found = score(np.eye(3)[predicted], labels).balanced_accuracy
        covered += found.low <= recalls.mean() <= found.high
    assert 0.92 <= covered / 400 <= 0.99


def test_an_absent_class_has_no_recall_and_no_weight() -> None:
    found = score(np.eye(3)[[0, 1, 1]], np.array([0, 1, 0]))
    assert found.recall[2].cases == 0
    assert found.balanced_accuracy.value == pytest.approx((0.5 + 1.0) / 2)
    values = json.loads(json.dumps(found.to_dict(["a", "b", "c"])))
    assert values["recall"]["c"] == [None, None, None, 0]
    assert values["accuracy"][3] == 3


def test_groups_of_sizes_hold_every_image_once() -> None:
    sizes = RNG.integers(100, 5000, (90, 2))
    found = score(np.eye(2)[RNG.integers(0, 2, 90)], RNG.integers(0, 2, 90), sizes)
    assert len(found.by_size) == 3
    assert sum(value.cases for value in found.by_size.values()) == 90
    assert score(np.eye(2), np.array([0, 1]), np.full((2, 2), 64)).by_size == {}


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to score"):
        score(np.zeros([0, 3]), np.zeros([0]))
    with pytest.raises(InputError, match="outside the classes"):
        score(np.eye(2), np.array([0, 2]))
