"""TFMA's results as plain data, with the classes called by their names."""

import numpy as np
import pytest

pytest.importorskip("ml_metadata", reason="TFX is not installed")

from pipelines.reporting import evaluation
from tests.pipelines.reporting.tfma_like import tfma_like
from tests.pipelines.runs import NAMES
from tfvs.data.example import LABEL

pytestmark = pytest.mark.tfx


def test_evaluation_names_classes_and_sizes():
    found = evaluation.summarise(*tfma_like(), NAMES)
    assert [(row.feature, row.name, row.examples) for row in found.slices] == [
        ("", "all", 11), ("class", "<b>blue</b>", 5), ("class", "label 10", 1), ("image size", "640 × 480 px", 2),
    ]  # fmt: skip
    assert found.slices[0].metrics == {"sparse_categorical_accuracy": 0.75, "auc": 0.875, "nothing": 0.0}
    assert found.slices[1].metrics == {}  # one class against the others, among images of that class alone
    np.testing.assert_array_equal(found.confusion, [[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    red, green, blue = evaluation.class_rows(found.confusion, NAMES)
    assert (red.examples, red.precision, red.recall) == (4, 1.0, 0.75)
    assert (green.precision, green.recall, green.f1) == (pytest.approx(2 / 3), 1.0, pytest.approx(0.8))
    assert np.isnan(blue.precision)
    assert found.calibration.stated == pytest.approx([0.2, 0.9])
    assert found.calibration.observed == pytest.approx([0.25, 1.0])
    assert found.calibration.error == pytest.approx(0.4 * 0.05 + 0.6 * 0.1)


def test_confusion_among_the_metrics_serves_as_well_as_a_plot():
    slices, plots = tfma_like()
    matrix = plots[0][1][""][""].pop(evaluation.CONFUSION)
    slices[-1][1][""][""]["multi_class_confusion_matrix_at_thresholds"] = {evaluation.CONFUSION: matrix}
    assert evaluation.summarise(slices, plots, NAMES).confusion.sum() == 6


def test_missed_thresholds_are_put_into_words():
    from google.protobuf import text_format
    from tensorflow_model_analysis.proto import validation_result_pb2

    failure = """failures {
      metric_key { name: "sparse_categorical_accuracy" }
      metric_threshold {
        value_threshold { lower_bound { value: 0.5 } }
        change_threshold { absolute { value: -0.02 } direction: HIGHER_IS_BETTER }
      }
      metric_value { double_value { value: 0.25 } }
    }"""
    text = f"""metric_validations_per_slice {{ slice_key {{}} {failure} }}
      metric_validations_per_slice {{
        slice_key {{ single_slice_keys {{ column: "{LABEL}" int64_value: 1 }} }} {failure}
      }}"""
    result = text_format.Parse(text, validation_result_pb2.ValidationResult())
    asked = "at least 0.5 is asked for, a change of -0.02 (absolute) from the last blessed model is allowed"
    assert evaluation.threshold_failures(result, NAMES) == [
        f"accuracy is 0.25; {asked}",
        f"accuracy of class green is 0.25; {asked}",
    ]
    empty = validation_result_pb2.ValidationResult()
    assert "could not be checked" in evaluation.threshold_failures(empty, NAMES)[0]
    assert evaluation.threshold_failures(validation_result_pb2.ValidationResult(validation_ok=True), NAMES) == []
