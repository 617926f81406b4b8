"""Calibration against counts by hand."""

import numpy as np
import pytest

from tfvs.evaluation.calibration import calibration_of_answers


def test_calibration_of_answers_against_a_count_by_hand():
    probabilities = np.array([[0.95, 0.05], [0.92, 0.08], [0.55, 0.45], [0.0, 1.0]])
    found = calibration_of_answers(probabilities, np.array([0, 1, 0, 1]))
    assert found.counts == [1.0, 3.0]
    assert found.stated == pytest.approx([0.55, (0.95 + 0.92 + 1.0) / 3])
    assert found.observed == pytest.approx([1.0, 2 / 3])
