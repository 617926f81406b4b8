"""A saccader with places and evidence as it is served: the same outputs, under the same names."""

import numpy as np
import pytest
import tensorflow as tf

from tests.export.saccaders import CLASS_NAMES, RECIPE, picture
from tfvs.export.saving import export_saved_model
from tfvs.models.saccader import VariationalSaccader

LOOKS = 3


@pytest.fixture(scope="module")
def model() -> VariationalSaccader:
    tf.keras.utils.set_random_seed(5)
    model = VariationalSaccader(
        num_classes=len(CLASS_NAMES),
        num_steps=2,
        crop_size=16,
        posterior="categorical",
        cells=(12, 16),
        inhibition_cells=1,
        look_pooling="evidence",
        scales=(1.0, 2.0),
        reconstruction_weight=0.0,
        encoder_units=8,
        state_size=8,
        prior_units=8,
        posterior_units=8,
        latent_units=4,
        map_filters=(4,),
        map_kernels=(3,),
        crop_filters=(8, 16),
        crop_strides=(2, 2),
        crop_units=16,
    )
    model.build({"proxy": (None, *RECIPE.shape), "image": (None, None, None, 3)})
    return model


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    base = tmp_path_factory.mktemp("export")
    path = export_saved_model(
        model, base / "1", class_names=CLASS_NAMES, proxy=RECIPE, image_roots=[base], num_steps=LOOKS
    )
    return tf.saved_model.load(path)


def test_locate_and_classify_give_what_the_model_gives(model, served):
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
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(np.sum(answer["evidence"], 1)), atol=1e-5)
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
