"""TFMA's own results of the pipelines' evaluation, read as the report reads them."""

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_analysis", reason="TFX is not installed")

import tensorflow_model_analysis as tfma

from pipelines.evaluation import make_eval_config
from pipelines.reporting.evaluation import summarise
from tfvs.data.example import HEIGHT, LABEL, WIDTH

pytestmark = pytest.mark.tfx
NAMES = ["a", "b", "c", "absent"]


def test_every_metric_reaches_the_report() -> None:
    import pandas

    labels = np.array([0] * 6 + [1] * 3 + [2])
    answers = labels.copy()
    answers[0] = 1
    config = make_eval_config(
        num_classes=4, minimum_accuracy=0.5, minimum_skill=0.1, maximum_drop=0.1, minimum_balanced_accuracy=0.7
    )
    for field in ("signature_name", "model_type"):  # there is no model, only its answers
        config.model_specs[0].ClearField(field)
    for metric in config.metrics_specs[0].metrics:
        for threshold in metric.per_slice_thresholds:
            threshold.threshold.ClearField("change_threshold")  # there is no baseline
    data = pandas.DataFrame(
        {
            LABEL: labels,
            "probabilities": list(0.8 * np.eye(4)[answers] + 0.05),
            WIDTH: [640] * 5 + [480] * 5,
            HEIGHT: 480,
        }
    )
    result = tfma.analyze_raw_data(data, config)
    found = summarise(result.slicing_metrics, result.plots, NAMES)

    overall = found.slices[0]
    assert overall.examples == 10
    assert overall.metrics["sparse_categorical_accuracy"] == pytest.approx(0.9)
    assert overall.metrics["accuracy_above_guessing"] == pytest.approx(0.9 - 0.6)
    assert overall.metrics["balanced_accuracy"] == pytest.approx((5 / 6 + 1 + 1) / 3)
    assert 0.5 < overall.metrics["auc"] < 1.0
    np.testing.assert_array_equal(found.confusion, [[5, 1, 0, 0], [0, 3, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert found.calibration.error == pytest.approx(abs(0.85 - 0.9) / 4 + 0.75 * abs(0.05 - 0.1 / 3), abs=1e-6)
    named = {(row.feature, row.name): row for row in found.slices}
    assert named["class", "a"].metrics["sparse_categorical_accuracy"] == pytest.approx(5 / 6)
    assert "auc" not in named["class", "a"].metrics
    assert named["image size", "640 × 480 px"].examples == 5
