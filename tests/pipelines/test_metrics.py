"""The accuracy above guessing against counts by hand; through TFMA it is tested in test_judges."""

import pytest

pytest.importorskip("tensorflow_model_analysis", reason="TFX is not installed")

from pipelines.metrics import skill

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
