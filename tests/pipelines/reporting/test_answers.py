"""What the exported model says of images."""

import numpy as np
import pytest

pytest.importorskip("ml_metadata", reason="TFX is not installed")

from pipelines import report
from pipelines.reporting import answers

pytestmark = pytest.mark.tfx


def test_answers_leave_out_what_the_model_could_not_read(finished):
    found = answers.read_answers(
        finished / "model" / "Format-Serving", report.split_files(str(finished / "examples"), "test"), limit=4
    )
    assert [answer.record.image_id for answer in found] == [f"image test {i}" for i in range(4)]
    assert all(answer.right for answer in found)
    np.testing.assert_allclose([answer.probabilities.sum() for answer in found], 1.0, rtol=1e-5)
    right, wrong = answers.choose(found, 3)
    assert sorted(answer.record.label for answer in right) == [0, 1, 2]
    assert wrong == []
