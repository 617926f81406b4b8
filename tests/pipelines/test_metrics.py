"""Our metrics against counts by hand and scikit-learn; through TFMA they are tested in test_evaluation."""

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_analysis", reason="TFX is not installed")

from pipelines.metrics import balanced_accuracy, count_error, skill, within_one

pytestmark = pytest.mark.tfx


@pytest.mark.parametrize(
    ("confusion", "expected"),
    [
        ({}, 0.0),
        ({(0, 0): 60, (1, 0): 30, (2, 0): 10}, 0.0),  # always the largest class
        ({(0, 1): 60, (1, 1): 30, (2, 1): 10}, -0.3),  # always another
        ({(0, 0): 50, (0, 1): 10, (1, 1): 40}, 0.3),
        ({(0, 0): 50, (1, 1): 50}, 0.5),
    ],
)
def test_skill(confusion, expected) -> None:
    assert skill(confusion) == pytest.approx(expected)


def test_balanced_accuracy() -> None:
    from sklearn.metrics import balanced_accuracy_score

    confusion = {(0, 0): 50, (0, 2): 10, (1, 1): 4, (1, 0): 1, (3, 2): 2}
    truth, answers = zip(*(pair for pair, count in confusion.items() for _ in range(count)), strict=True)
    assert balanced_accuracy(confusion) == pytest.approx(balanced_accuracy_score(truth, answers))
    assert balanced_accuracy({}) == 0.0


def test_measures_of_counts_are_those_of_the_images() -> None:
    rng = np.random.default_rng(5)
    actual, predicted = rng.integers(0, 6, 200), rng.integers(0, 6, 200)
    pairs = list(zip(actual.tolist(), predicted.tolist(), strict=True))
    confusion = {pair: float(pairs.count(pair)) for pair in set(pairs)}
    assert count_error(confusion) == pytest.approx(np.abs(actual - predicted).mean())
    assert within_one(confusion) == pytest.approx((np.abs(actual - predicted) <= 1).mean())
    assert count_error({}) == within_one({}) == 0.0
