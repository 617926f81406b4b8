"""What the exported model says of images."""

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("ml_metadata", reason="TFX is not installed")

from tfvs.data.dataset import split_files
from tfvs.data.example import ImageRecord, to_example
from tfvs.evaluation import answers
from tfvs.images.tiff.sparse import SparseImage, write_sparse_pyramid

pytestmark = pytest.mark.tfx
PNG = tf.io.encode_png(tf.zeros([8, 8, 1], tf.uint8)).numpy()


def test_answers_leave_out_what_the_model_could_not_read(finished):
    found = answers.read_answers(
        finished / "model" / "Format-Serving", split_files(str(finished / "examples"), "test"), limit=4
    )
    assert [answer.record.image_id for answer in found] == [f"image test {i}" for i in range(4)]
    assert all(answer.right for answer in found)
    np.testing.assert_allclose([answer.probabilities.sum() for answer in found], 1.0, rtol=1e-5)
    right, wrong = answers.choose(found, 3)
    assert sorted(answer.record.label for answer in right) == [0, 1, 2]
    assert wrong == []


def test_evidence_and_posterior_go_from_the_outputs_to_the_picture(tmp_path):
    patch = np.full((1, 20, 20), 255, np.uint8)
    index = write_sparse_pyramid(SparseImage.from_patches(90, 80, 32, patch, np.array([[5, 6]])), tmp_path / "a.tif")
    record = to_example(ImageRecord("a", 1, "00", PNG, "a.tif", index)).SerializeToString()
    steps = answers.MAX_STEPS + 2  # more than a sheet shows
    random = np.random.default_rng(0)
    outputs = {
        "probabilities": np.array([[0.25, 0.75]]),
        "boxes": np.tile(np.array([0.1, 0.1, 0.4, 0.4]), (1, steps, 1)),
        "kl": np.ones((1, steps)),
        "evidence": random.normal(size=(1, steps, 2)),
        "posterior_map": random.random((1, 4, 5)),
    }
    (answer,) = answers._answers(np.array([record], object), outputs)
    (saccade,) = answers.to_saccades([answer], tmp_path, ["0", "1"])
    np.testing.assert_array_equal(saccade.evidence, outputs["evidence"][0][: answers.MAX_STEPS])
    np.testing.assert_array_equal(saccade.posterior_map, outputs["posterior_map"][0])
    (plain,) = answers._answers(np.array([record], object), {"probabilities": outputs["probabilities"]})
    assert plain.evidence is plain.posterior_map is None
