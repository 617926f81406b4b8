"""The saccader with a categorical posterior over places and evidence that adds up."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvs
from tests.models.conftest import SMALL
from tests.models.test_saccader import assert_same, traces_of
from tfvs.errors import ConfigError, InputError
from tfvs.layers.posteriors.priors import log_place_prior
from tfvs.models.saccader_output import SaccaderOutput

PLACES: dict[str, Any] = {
    **SMALL,
    "posterior": "categorical",
    "cells": (9, 12),
    "inhibition_cells": 1,
    "look_pooling": "evidence",
    "reconstruction_weight": 0.0,
    "map_filters": (5, 6),
    "map_kernels": (3, 1),
    "min_scale": 0.3,
    "max_scale": 0.4,
}
# Every field that has a choice, set to what it is not by default.
OTHER = {
    "place_prior": "surprise",
    "reconstruction_weight": 0.2,
    "prior_power": 2.0,
    "prior_floor": 0.1,
    "place_gradient": "reinforce",
    "posterior_reads_state": True,
    "posterior_stddev": 0.3,
    "proxy_gain": 3.0,
    "look_pooling": "seen",
    "none_class": 2,
    "scales": (1.0, 2.0),
    "crop_normalization": "none",
    "standardize_crops": True,
    "classifier_reads_state": True,
    "kl_weight": 0.5,
}
VARIANTS = [
    {},
    OTHER,
    {"place_prior": "learned", "place_gradient": "attention"},
    {"place_prior": "uniform", "learns_offset": False, "look_pooling": "mean"},
    {"look_pooling": "count"},
]


@pytest.fixture
def make_places():
    return lambda **changes: tfvs.VariationalSaccader(**{**PLACES, **changes})


@pytest.fixture
def places_data() -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(7)
    inputs = {
        "image": rng.random((8, 36, 48, 1)).astype("float32"),
        "proxy": rng.random((8, 18, 24, 1)).astype("float32"),
    }
    return inputs, rng.integers(0, 4, 8)


def present(output: SaccaderOutput) -> dict[str, np.ndarray]:
    return {name: value for name, value in output._asdict().items() if value is not None}


def test_outputs(make_places, places_data):
    output = make_places()(places_data[0])
    assert output.evidence.shape == (8, 2, 4)
    assert output.posterior_map.shape == (8, 9, 12)
    assert output.reconstruction is None
    assert output.log_likelihood is None
    np.testing.assert_allclose(np.sum(output.evidence, 1), output.logits, atol=1e-5)
    np.testing.assert_allclose(np.sum(output.posterior_map, (1, 2)), 1.0, rtol=1e-5)
    assert float(tf.reduce_min(output.boxes)) >= -1e-6
    assert float(tf.reduce_max(output.boxes)) <= 1 + 1e-6
    # The divergence begins near 0: prior and posterior begin alike.
    assert np.abs(output.kl).max() < 1e-2


def test_the_first_look_is_the_peak_of_the_map_and_the_next_ones_keep_away(make_places, places_data):
    output = make_places(num_steps=5)(places_data[0])
    centres = (output.boxes[..., :2] + output.boxes[..., 2:]).numpy() / 2
    peak = np.argmax(np.reshape(output.posterior_map, (8, -1)), -1)
    cell = (np.stack(divmod(peak, 12), -1) + 0.5) / [9, 12]
    half = (output.boxes[:, 0, 2:] - output.boxes[:, 0, :2]).numpy() / 2
    np.testing.assert_allclose(centres[:, 0], np.clip(cell, half, 1 - half), atol=1e-5)
    inner = np.all((output.boxes[..., :2] > 1e-4) & (output.boxes[..., 2:] < 1 - 1e-4), -1)
    for image, (first, second) in itertools.product(range(8), itertools.combinations(range(5), 2)):
        if inner[image, first] and inner[image, second]:
            assert np.abs((centres[image, first] - centres[image, second]) * [9, 12]).max() > 1.5


@pytest.mark.parametrize("changes", VARIANTS)
def test_every_weight_has_a_gradient(make_places, places_data, changes):
    model = make_places(**changes)
    inputs, labels = places_data
    with tf.GradientTape() as tape:
        loss = model.compute_loss(None, labels, model(inputs, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert [w.path for w, g in zip(model.trainable_variables, gradients, strict=True) if g is None] == []
    assert all(np.all(np.isfinite(tf.convert_to_tensor(g))) for g in gradients)


def test_the_choice_of_cells_learns_from_the_class_alone(make_places, places_data):
    inputs, labels = places_data
    for kind in ("counterfactual", "reinforce", "attention"):
        model = make_places(kl_weight=0.0, place_gradient=kind, learns_offset=False)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(None, labels, model(inputs, training=True))
        gradient = tape.gradient(loss, model.vrnn.posterior.evidence.kernel.value)
        assert np.abs(gradient).max() > 0.0, kind


def test_the_loss_shown_is_the_bound(make_places, places_data):
    model = make_places(kl_weight=0.3, classification_weight=2.0)
    inputs, labels = places_data
    output = model(inputs, training=True)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)(labels, output.logits)
    expected = np.mean(2.0 * cross_entropy + 0.3 * np.sum(output.kl, 1))
    assert float(model.compute_loss(None, labels, output)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("changes", VARIANTS)
def test_keras_file_and_saved_model(make_places, places_data, tmp_path, changes):
    model, inputs = make_places(**changes), places_data[0]
    expected = model(inputs)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.config == model.config
    assert_same(loaded(inputs), expected)

    @tf.function
    def serve(image: tf.Tensor, proxy: tf.Tensor) -> dict[str, tf.Tensor]:
        return present(model({"image": image, "proxy": proxy}))

    spec = {name: tf.TensorSpec((None, *value.shape[1:])) for name, value in inputs.items()}
    tf.saved_model.save(model, str(tmp_path / "saved"), signatures=serve.get_concrete_function(**spec))
    served = tf.saved_model.load(str(tmp_path / "saved"))
    outputs = served.signatures["serving_default"](**{name: tf.constant(value) for name, value in inputs.items()})
    assert_same(SaccaderOutput(**{**dict.fromkeys(SaccaderOutput._fields), **outputs}), expected, atol=1e-4)


def test_the_number_of_looks_is_free_when_predicting(make_places, places_data):
    model, inputs = make_places(), places_data[0]
    two, five = model(inputs), model(inputs, num_steps=5)
    assert five.boxes.shape == (8, 5, 4)
    np.testing.assert_allclose(five.boxes[:, :2], two.boxes, atol=1e-6)
    np.testing.assert_allclose(five.evidence[:, :2], two.evidence, atol=1e-4)
    adapted = model.adapted(num_steps=5)
    np.testing.assert_allclose(adapted.predict(inputs, verbose=0).logits, five.logits, atol=1e-4)
    with pytest.raises(ConfigError, match="at most 12 looks"):
        model.locate(tf.constant(inputs["proxy"]), tf.constant([[36, 48]] * 8), num_steps=13)


def test_what_is_learned_serves_on_larger_images(make_places, places_data):
    model, inputs = make_places(), places_data[0]
    model(inputs)
    larger = model.adapted(cells=(18, 24), proxy_size=(36, 48), min_scale=0.15, max_scale=0.2)
    assert float(larger.max_scale) == pytest.approx(0.2)
    twice = {name: np.tile(value, (1, 2, 2, 1)) for name, value in inputs.items()}
    assert larger(twice).posterior_map.shape == (8, 18, 24)
    with pytest.raises(InputError, match="do not fit"):
        model.adapted(crop_units=12)


def test_locate_then_classify_is_the_call(make_places, places_data):
    model, inputs = make_places(classifier_reads_state=True, scales=(1.0, 2.0)), places_data[0]
    output = model(inputs)
    trajectory = model.locate(tf.constant(inputs["proxy"]), tf.constant([[36, 48]] * 8))
    assert trajectory.boxes.shape == (8, 4, 4)
    np.testing.assert_allclose(trajectory.boxes, output.boxes, atol=1e-6)
    answers = model.answer_crops(output.crops, trajectory.hidden_states)
    np.testing.assert_allclose(answers.logits, output.logits, atol=1e-5)
    np.testing.assert_allclose(answers.evidence, output.evidence, atol=1e-5)


def test_scales_lie_around_the_same_place(make_places, places_data):
    boxes = make_places(scales=(1.0, 2.0))(places_data[0]).boxes.numpy().reshape(8, 2, 2, 4)
    sides = boxes[..., 2:] - boxes[..., :2]
    np.testing.assert_allclose(sides[:, :, 1], 2 * sides[:, :, 0], rtol=1e-4)
    assert np.all(boxes[:, :, 1, :2] <= boxes[:, :, 0, :2] + 1e-5)
    assert np.all(boxes[:, :, 1, 2:] >= boxes[:, :, 0, 2:] - 1e-5)


def test_several_trajectories(make_places, places_data):
    output = make_places(num_samples=3)(places_data[0])
    assert output.evidence.shape == (8, 2, 4)
    assert output.posterior_map.shape == (8, 9, 12)
    np.testing.assert_allclose(np.exp(output.logits).sum(-1), 1.0, rtol=1e-5)


def test_a_blank_proxy_has_the_uniform_prior(make_places, places_data):
    inputs = places_data[0]
    inputs["proxy"][2] = 0.7
    model = make_places()
    model(inputs)
    kernel = model.vrnn.posterior.evidence.kernel
    kernel.assign(tf.zeros_like(kernel))
    found = model(inputs).posterior_map
    np.testing.assert_allclose(found[2], 1 / 108, rtol=1e-4)
    assert np.ptp(found[1]) > 1e-3


def test_surprise_is_where_the_reconstruction_fails():
    proxy = np.full([1, 6, 8, 1], 0.4, np.float32)
    reconstruction = proxy.copy()
    reconstruction[0, 2:4, 4:6] = 0.9

    def log_prior(values: np.ndarray) -> np.ndarray:
        return log_place_prior(
            "surprise", tf.constant(proxy), (3, 4), power=2.0, floor=0.02, reconstruct=lambda: tf.constant(values)
        ).numpy()

    assert np.argmax(log_prior(reconstruction)) == 1 * 4 + 2
    np.testing.assert_allclose(log_prior(proxy), 2.0 * np.log(0.02), rtol=1e-5)


@pytest.mark.parametrize("contrast", [1.0, 0.02])
def test_isolated_is_what_differs_on_all_sides_and_is_as_small_as_the_thing(contrast):
    proxy = np.zeros([1, 40, 60, 3], np.float32)
    proxy[0, :20] = 0.8  # an edge, of more contrast than the thing has
    proxy[0, :, 50:52, 1] = 0.9  # a line
    proxy[0, 22:38, 2:18, 2] = 1.0  # something large
    proxy[0, 27:32, 31:36, 0] = 0.5  # the thing: 5 pixels, its middle in cell (14, 16)
    found = log_place_prior(
        "isolated",
        tf.constant(0.5 + contrast * (proxy - 0.5)),
        (20, 30),
        power=1.0,
        floor=0.02,
        thing_scale=5 / 40,
        reconstruct=lambda: tf.zeros([0]),
    ).numpy()[0]
    assert np.unravel_index(np.argmax(found), found.shape) == (14, 16)
    others = found.copy()
    others[12:18, 14:20] = -np.inf
    assert np.exp(found.max()) > 1.5 * np.exp(others.max())


def test_mixed_precision(make_places, places_data):
    full, half = make_places(), make_places(dtype="mixed_float16")
    inputs, labels = places_data
    full(inputs)
    half(inputs)
    half.set_weights(full.get_weights())
    output, expected = half(inputs), full(inputs)
    assert {value.dtype for value in present(output).values()} == {tf.float32, tf.bool}
    np.testing.assert_allclose(output.posterior_map, expected.posterior_map, atol=1e-4)
    half.compile("adam", metrics=["accuracy"])
    assert np.isfinite(half.fit(inputs, labels, verbose=0).history["loss"][0])


def test_jit_compile(make_places, places_data):
    model = make_places()
    inputs, labels = places_data
    expected = model(inputs)
    model.compile("sgd", jit_compile=True)
    assert_same(model.predict(inputs, verbose=0), expected, atol=1e-3)
    assert np.isfinite(model.fit(inputs, labels, verbose=0).history["loss"][0])


def test_a_broken_image_fails_alone(make_places, places_data):
    inputs = places_data[0]
    model = make_places()
    expected = model.predict(inputs, verbose=0)
    inputs["proxy"][5] = np.nan
    output = model.predict(inputs, verbose=0)
    assert output.valid.tolist() == [True] * 5 + [False] + [True] * 2
    np.testing.assert_allclose(output.logits[output.valid], expected.logits[output.valid], atol=1e-5)


def test_cells_finer_than_the_proxy(make_places):
    with pytest.raises(ConfigError, match="finer than the proxy"):
        make_places(cells=(19, 24)).build({"proxy": (None, 18, 24, 1), "image": (None, 36, 48, 1)})


def test_the_preset():
    model = tfvs.VariationalSaccader(tfvs.PRESETS["small_things"])
    model.build({"proxy": (None, 180, 180, 1), "image": (None, 1500, 1500, 1)})
    assert model.count_params() < 100_000


def test_it_learns_where_a_small_thing_lies():
    """One patch per image tells the class; it lies anywhere on a canvas 8 times as wide, among distractors."""
    keras.utils.set_random_seed(4)
    rng = np.random.default_rng(4)
    patterns = np.zeros([3, 6, 6], np.float32)
    patterns[0, :, ::2], patterns[1, ::2], patterns[2] = 1.0, 1.0, 1.0
    labels = rng.integers(0, 2, 256)
    image = np.zeros([256, 48, 48, 1], np.float32)
    for i, label in enumerate(labels):
        spots = rng.permutation(64)[:4]
        for spot, pattern in zip(spots, (label, 2, 2, 2), strict=True):
            top, left = spot // 8 * 6, spot % 8 * 6
            image[i, top : top + 6, left : left + 6, 0] = patterns[pattern] * (0.3 if pattern == 2 else 1.0)
    inputs = {"image": image, "proxy": image.reshape(256, 24, 2, 24, 2, 1).mean((2, 4))}
    model = tfvs.VariationalSaccader(
        **{
            **PLACES,
            "num_classes": 2,
            "cells": (8, 8),
            "crop_size": 8,
            "min_scale": 1 / 6,
            "max_scale": 1 / 6,
            "inhibition_cells": 0,
            "learns_offset": False,
            "map_filters": (8,),
            "map_kernels": (1,),
            "proxy_gain": 4.0,
        }
    )
    traced = traces_of(model)
    model.compile(keras.optimizers.Adam(5e-3), metrics=["accuracy"])
    model.fit(inputs, labels, epochs=20, batch_size=16, verbose=0)
    assert len(traced) == 1
    assert model.evaluate(inputs, labels, verbose=0, return_dict=True)["accuracy"] > 0.9
