"""RAM and DRAM: what a glimpse shows, the gradient of the policy, and that they learn where to look."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvs.errors import ConfigError
from tfvs.layers import GlimpseNetwork
from tfvs.models import DRAM, RAM
from tfvs.models.hard_attention import score_function_loss
from tfvs.training.optimizer import ClippedAdam

RNG = np.random.default_rng(11)
SMALL = {"num_steps": 3, "glimpse_size": 6, "num_scales": 2, "units": 16, "num_samples": 4}
INPUTS = {"image": RNG.random((4, 32, 40, 1)).astype("float32"), "proxy": RNG.random((4, 16, 16, 1)).astype("float32")}
LABELS = np.arange(4) % 3


def test_a_glimpse_is_the_pixels_around_a_place_and_means_of_a_wider_patch():
    image = RNG.random((1, 32, 48, 1)).astype("float32")
    place = np.array([[[0.25, -0.5]]], "float32")  # the point between rows 19 and 20, columns 11 and 12
    patches = GlimpseNetwork(glimpse_size=4, num_scales=2).patches(tf.constant(image), tf.constant(place))
    plane = image[0, ..., 0]
    np.testing.assert_allclose(patches[0, 0, 0, ..., 0], plane[18:22, 10:14], atol=1e-6)
    wide = plane[16:24, 8:16].reshape(4, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(patches[0, 0, 1, ..., 0], wide, atol=1e-6)
    corner = GlimpseNetwork(glimpse_size=4, num_scales=1).patches(tf.constant(image), tf.constant([[[-1.0, -1.0]]]))
    np.testing.assert_allclose(corner[0, 0, 0, :2, :2, 0], 0.0, atol=1e-6)  # black beyond the edges
    np.testing.assert_allclose(corner[0, 0, 0, 2:, 2:, 0], plane[:2, :2], atol=1e-6)


def test_the_score_function_gives_the_gradient_of_the_expected_reward():
    """Reward 1 where a Gaussian draw is positive: its expectation is Φ(μ / σ), whose slope is φ(μ / σ) / σ."""
    mean, stddev, draws = tf.Variable(0.1), 0.3, 400_000
    noise = RNG.normal(size=draws).astype("float32")
    with tf.GradientTape() as tape:
        place = tf.stop_gradient(mean + stddev * noise)
        log_prob = -0.5 * ((place - mean) / stddev) ** 2
        reward = tf.cast(place > 0.0, tf.float32)
        loss = tf.reduce_mean(score_function_loss(log_prob[:, tf.newaxis], reward, tf.fill([draws, 1], 0.6)))
    slope = np.exp(-0.5 * (0.1 / stddev) ** 2) / np.sqrt(2 * np.pi) / stddev
    assert -float(tape.gradient(loss, mean)) == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("kind", [RAM, DRAM])
def test_fit_predict_and_save(kind, tmp_path):
    model = kind(3, **SMALL)
    model.compile("sgd", weighted_metrics=["accuracy"])
    history = model.fit(INPUTS, LABELS, sample_weight=np.ones(4), verbose=0).history
    assert {"loss", "accuracy"} <= set(history)
    output = model.predict(INPUTS, verbose=0)
    draws = SMALL["num_steps"] - (kind is RAM)
    assert output.logits.shape == (4, 3)
    assert output.boxes.shape == (4, 3, 4)
    assert output.log_prob.shape == output.baseline.shape == (4, 1, draws)
    np.testing.assert_allclose(np.exp(output.logits).sum(-1), 1.0, rtol=1e-5)
    sides = output.boxes[..., 2:] - output.boxes[..., :2]
    np.testing.assert_allclose(sides, np.broadcast_to([6 / 32, 6 / 40], sides.shape), rtol=1e-4)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded.predict(INPUTS, verbose=0).logits, output.logits)


@pytest.mark.parametrize("kind", [RAM, DRAM])
def test_every_weight_learns(kind):
    model = kind(3, **SMALL)
    with tf.GradientTape() as tape:
        output = model(INPUTS, training=True)
        loss = model.compute_loss(y=LABELS, y_pred=output)
    assert output.trajectory_logits.shape == (4, SMALL["num_samples"], 3)
    np.testing.assert_allclose(
        output.logits, np.log(tf.reduce_mean(tf.nn.softmax(output.trajectory_logits), axis=1)), atol=1e-5
    )
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all()


def test_dram_learns_to_look_where_its_thumbnail_points():
    """The class is the brightness of a square of 4 pixels, dark or half bright, that a bright proxy pixel points at."""
    count = 512
    images, proxies = np.zeros([count, 32, 32, 1], "float32"), np.zeros([count, 8, 8, 1], "float32")
    labels, cells = RNG.integers(0, 2, count), RNG.integers(1, 7, (count, 2))
    for image, proxy, label, (row, column) in zip(images, proxies, labels, cells, strict=True):
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0.4 + 0.6 * label
        proxy[row, column] = 1.0
    keras.utils.set_random_seed(2)
    model = DRAM(
        2,
        num_steps=1,
        glimpse_size=8,
        num_scales=1,
        units=48,
        context_size=8,
        location_stddev=0.25,
        reinforce_weight=1.0,
    )
    model.compile(ClippedAdam(3e-3), weighted_metrics=["accuracy"])
    inputs = {"image": images, "proxy": proxies}
    model.fit(inputs, labels, batch_size=64, epochs=10, verbose=0)
    output = model.predict(inputs, verbose=0)
    centres = (output.boxes[:, -1, :2] + output.boxes[:, -1, 2:]) / 2
    distance = np.abs(centres * 8 - (cells + 0.5)).max(axis=-1)  # in pixels of the proxy
    assert np.mean(distance < 1.5) > 0.8  # at random: about 0.15
    assert np.mean(np.argmax(output.logits, -1) == labels) > 0.95


def test_bad_input():
    with pytest.raises(ConfigError, match="num_classes"):
        RAM(1)
    with pytest.raises(ConfigError, match="location_stddev"):
        DRAM(3, location_stddev=0.0)
    with pytest.raises(ConfigError, match="num_scales"):
        RAM(3, num_scales=0)
    with pytest.raises(ConfigError, match="context_size"):
        DRAM(3, context_size=4)
