"""Networks in the saccader, by name or as Keras models; the optional inputs; what is saved is what was trained."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvs.backbones import EncoderConfig
from tfvs.data.inputs import FIELD_OF_VIEW, MIRRORED, PASTE_BOXES, PASTES
from tfvs.errors import ConfigError
from tfvs.models.places import within_field
from tfvs.models.saccader import VariationalSaccader
from tfvs.models.saccader_config import SaccaderConfig

RNG = np.random.default_rng(8)
FIELDS: dict[str, Any] = {
    "num_classes": 3,
    "num_steps": 3,
    "crop_size": 16,
    "min_scale": 0.25,
    "max_scale": 0.25,
    "posterior": "categorical",
    "cells": (8, 12),
    "inhibition_cells": 1,
    "learns_offset": False,
    "map_normalization": "batch",
    "map_reads_pixels": False,
    "map_reads_place": True,
    "standardize_crops": True,
    "crop_dropout": 0.2,
    "look_pooling": "seen",
    "state_size": 8,
    "encoder_units": 8,
    "reconstruction_weight": 0.0,
    "kl_weight": 0.001,
}
BY_NAME: dict[str, Any] = {
    "proxy_features": {
        "network": "efficientnet_lite0", "blocks": 4, "feature_maps": ["block_0", "block_2"], "trainable": False,
        "gain": 0.1,
    },
    "crop_encoder": {"network": "efficientnet_lite0", "blocks": 3, "gain": 0.1, "enlargement": 2},
}  # fmt: skip


def images(count: int = 4) -> dict[str, np.ndarray]:
    image = RNG.integers(0, 256, (count, 64, 96, 3), dtype=np.uint8)
    proxy = image.reshape(count, 32, 2, 48, 2, 3).mean((2, 4)) / 255.0
    return {"image": image, "proxy": proxy.astype(np.float32)}


def own_network() -> keras.Model:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs))
    return keras.Model(inputs, keras.layers.ReLU()(x), name="mine")


def compiled(model: VariationalSaccader) -> VariationalSaccader:
    model.compile(keras.optimizers.Adam(1e-3), weighted_metrics=["accuracy"])
    return model


@pytest.mark.parametrize("kind", ["by name", pytest.param("as models", marks=pytest.mark.slow)])
def test_it_trains_and_what_is_saved_answers_alike(kind: str, tmp_path: Path) -> None:
    networks = BY_NAME if kind == "by name" else {"proxy_features": own_network(), "crop_encoder": own_network()}
    keras.utils.set_random_seed(1)
    model = compiled(VariationalSaccader(**FIELDS, **networks))
    inputs, labels = images(), np.array([0, 1, 2, 0])
    model(inputs)
    frozen = [np.array(value) for value in model.proxy_features.get_weights()]
    statistics = [np.array(v) for v in model.classifier.encoder.weights if "moving" in v.path]
    weights = [np.array(v) for v in model.classifier.encoder.trainable_weights]
    history = model.fit(inputs, labels, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    unchanged = [np.array_equal(a, b) for a, b in zip(frozen, model.proxy_features.get_weights(), strict=True)]
    assert all(unchanged) == (kind == "by name")  # those given as models are trained
    after = [np.array(v) for v in model.classifier.encoder.weights if "moving" in v.path]
    same = all(np.array_equal(a, b) for a, b in zip(statistics, after, strict=True))
    assert same == (kind == "by name")  # statistics that were never learned are learned
    moved = zip(weights, model.classifier.encoder.trainable_weights, strict=True)
    assert any(not np.array_equal(a, np.array(b)) for a, b in moved)

    expected = model(inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    np.testing.assert_allclose(loaded(inputs).logits, expected.logits, atol=1e-5)
    more = model.adapted(num_steps=4)(inputs)
    np.testing.assert_allclose(more.evidence[:, :3], expected.evidence, atol=1e-4)

    serve = tf.function(lambda image, proxy: {"logits": model({"image": image, "proxy": proxy}).logits})
    spec = {name: tf.TensorSpec((None, *value.shape[1:]), tf.as_dtype(value.dtype)) for name, value in inputs.items()}
    tf.saved_model.save(model, str(tmp_path / "saved"), signatures=serve.get_concrete_function(**spec))
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    given = {name: tf.constant(value) for name, value in inputs.items()}
    np.testing.assert_allclose(served(**given)["logits"], expected.logits, atol=1e-4)


def test_loading_needs_no_package_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = VariationalSaccader(**FIELDS, **BY_NAME)
    inputs = images()
    expected = model(inputs).logits
    model.save(tmp_path / "model.keras")
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(inputs).logits, expected, atol=1e-5)


def test_an_application_of_keras_reads_crops() -> None:
    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, pooling="avg", input_shape=(32, 32, 3), include_preprocessing=True
    )
    model = VariationalSaccader(num_classes=3, crop_size=32, crop_encoder=network)
    inputs = images()
    assert model(inputs).logits.shape == (4, 3)
    assert model.classifier.encoder.scaling == "pixels"
    assert model.count_params() > network.count_params()
    assert model.predict(inputs, verbose=0).logits.shape == (4, 3)
    model.compile("adam", run_eagerly=True)  # a graph of its gradients takes twenty seconds
    assert np.isfinite(model.fit(inputs, np.array([0, 1, 2, 0]), verbose=0).history["loss"]).all()


def test_configuration_is_plain_and_round_trips() -> None:
    config = SaccaderConfig(**FIELDS, **BY_NAME)
    assert isinstance(config.crop_encoder, EncoderConfig)
    assert SaccaderConfig.from_json(config.to_json()) == config
    assert config.replace(num_steps=2).proxy_features == config.proxy_features
    by_name = SaccaderConfig(num_classes=2, crop_encoder="efficientnet_lite0")  # type: ignore[arg-type]
    assert by_name.crop_encoder == EncoderConfig(network="efficientnet_lite0")
    with pytest.raises(ConfigError, match="map of places"):
        SaccaderConfig(num_classes=2, proxy_features=EncoderConfig(network="efficientnet_lite0"))
    with pytest.raises(ConfigError, match="crop_dropout"):
        SaccaderConfig(num_classes=2, crop_dropout=1.0)


def test_looks_begin_in_the_field_of_view() -> None:
    keras.utils.set_random_seed(3)
    model = VariationalSaccader(**FIELDS, **BY_NAME)
    field = np.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 1.0, 0.5], [0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1]], np.float32)
    inputs = {**images(), FIELD_OF_VIEW: field}
    model.build({name: (None, *value.shape[1:]) for name, value in inputs.items()})
    for sample in (False, True):
        places = model.locate(
            tf.constant(inputs["proxy"]), tf.fill([4, 2], 64), sample=sample, field_of_view=tf.constant(field)
        )
        assert places.posterior_map.shape == (4, 8, 12)
        mass = places.posterior_map.numpy()
        assert mass[0, :4, :6].sum() == pytest.approx(1.0)
        assert mass[1, 4:, :6].sum() == pytest.approx(1.0)
        assert mass[2, 2:6, 6:].sum() == pytest.approx(1.0)
    output = model(inputs)
    centres = (output.boxes[..., :2] + output.boxes[..., 2:]).numpy() / 2
    for row in range(3):  # a crop may reach over the edge, a cell's middle does not
        assert (centres[row] >= field[row, :2] - 0.05).all()
        assert (centres[row] <= field[row, 2:] + 0.05).all()


def test_a_field_smaller_than_the_looks_leaves_the_others() -> None:
    log_prior = tf.zeros([1, 4, 4])
    narrowed = within_field(log_prior, tf.constant([[0.0, 0.0, 0.25, 0.5]]))
    np.testing.assert_array_equal(narrowed[0] == 0.0, [[True, True, False, False], *[[False] * 4] * 3])
    assert np.isfinite(narrowed).all()


def test_pastes_and_mirrors_reach_the_crops() -> None:
    keras.utils.set_random_seed(4)
    model = VariationalSaccader(**FIELDS, **BY_NAME)
    inputs = images()
    mirrored = {"image": inputs["image"][:, :, ::-1], "proxy": inputs["proxy"]}
    as_it_is = {**inputs, MIRRORED: np.ones(4, np.uint8)}
    np.testing.assert_allclose(model(as_it_is).crops, model(mirrored).crops, atol=1e-4)
    white = np.full((4, 1, 64, 64, 4), 255, np.uint8)
    box = np.tile(np.array([0.0, 0.0, 1.0, 2 / 3], np.float32), (4, 1, 1))
    output = model({**inputs, PASTES: white, PASTE_BOXES: box})
    inside = (output.boxes[..., 3] < 0.66).numpy()
    assert inside.any()
    np.testing.assert_allclose(output.crops.numpy()[inside][:, 1:-1, 1:-1], 1.0, atol=1e-5)


def test_looks_from_the_prior_leave_the_proxys_network_out() -> None:
    model = VariationalSaccader(**FIELDS, **BY_NAME, looks_from_prior=True)
    inputs = images()
    first = model(inputs)
    np.testing.assert_array_equal(first.kl.numpy() < 1e-5, np.ones((4, 3), bool))
    model.proxy_features.network.set_weights([0 * value for value in model.proxy_features.network.get_weights()])
    np.testing.assert_array_equal(model(inputs).boxes, first.boxes)
