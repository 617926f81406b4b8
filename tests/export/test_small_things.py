"""A saccader with places and evidence as it is served: the same outputs, under the same names."""

import numpy as np
import pytest
import tensorflow as tf

from tests.export.saccaders import (
    CATEGORICAL,
    CATEGORICAL_LOOKS,
    CATEGORICAL_TEMPERATURE,
    CLASS_NAMES,
    RECIPE,
    picture,
    small_saccader,
)
from tfvs.export.description import read_description

LOOKS = CATEGORICAL_LOOKS


@pytest.fixture(scope="module")
def model():
    return small_saccader(**CATEGORICAL)


@pytest.fixture(scope="module")
def served(exported_categorical):
    return tf.saved_model.load(str(exported_categorical))


def test_locate_and_classify_give_what_the_model_gives(model, served, exported_categorical):
    rng = np.random.default_rng(3)
    proxy = rng.random((2, *RECIPE.shape)).astype("float32")
    size = np.array([[300, 400], [400, 500]], np.int32)
    trajectory = model.locate(tf.constant(proxy), tf.constant(size), num_steps=LOOKS)
    located = served.signatures["locate"](proxy=tf.constant(proxy), image_size=tf.constant(size))
    np.testing.assert_allclose(located["boxes"], trajectory.boxes, atol=1e-5)
    np.testing.assert_allclose(located["posterior_map"], trajectory.posterior_map, atol=1e-6)
    # One number per box; all of a look's divergence at its first box.
    np.testing.assert_allclose(np.reshape(located["kl"], (2, LOOKS, 2))[..., 0], trajectory.kl, atol=1e-5)
    assert np.all(np.reshape(located["kl"], (2, LOOKS, 2))[..., 1] == 0.0)

    crops = rng.random((2, 2 * LOOKS, 16, 16, 3)).astype("float32")
    answer = served.signatures["classify_crops"](
        proxy=tf.constant(proxy), image_size=tf.constant(size), crops=tf.constant(crops)
    )
    expected = model.answer_crops(tf.constant(crops), trajectory.hidden_states)
    np.testing.assert_allclose(answer["evidence"], expected.evidence, atol=1e-4)
    assert read_description(str(exported_categorical)).temperature == CATEGORICAL_TEMPERATURE
    plain = tf.nn.softmax(np.sum(answer["evidence"], 1)).numpy().astype(np.float64)
    powers = plain ** (1 / CATEGORICAL_TEMPERATURE)
    np.testing.assert_allclose(answer["probabilities"], powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(answer["classes"], plain.argmax(1))
    assert np.all(answer["entropy"] > -np.sum(plain * np.log(plain), axis=1))
    np.testing.assert_allclose(answer["posterior_map"], trajectory.posterior_map, atol=1e-6)


def test_an_image_that_cannot_be_answered_has_no_evidence(served):
    images = [tf.io.encode_png(picture(300, 400)).numpy(), b"no image"]
    answer = served.signatures["predict_images"](image_bytes=tf.constant(images))
    assert answer["valid"].numpy().tolist() == [True, False]
    assert answer["evidence"].shape == (2, 2 * LOOKS, len(CLASS_NAMES))
    assert np.abs(answer["evidence"][0]).max() > 0.0
    for name in ("evidence", "posterior_map"):
        assert np.all(answer[name][1].numpy() == 0.0)
    np.testing.assert_allclose(np.sum(answer["posterior_map"][0]), 1.0, rtol=1e-5)
