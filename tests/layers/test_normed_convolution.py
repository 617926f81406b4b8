"""A convolution with its norm in one layer: the same as one after the other, whichever statistics the norm takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvs.layers.normed_convolution import NormedConvolution

PIXELS = np.random.default_rng(0).normal(1.0, 2.0, (4, 9, 8, 3)).astype(np.float32)


def made(filters: int | None) -> tuple[NormedConvolution, keras.Sequential]:
    """The layer, and Keras' own two layers one after the other with the same weights."""
    random = np.random.default_rng(1)
    layer = NormedConvolution(filters, 3, 2, epsilon=0.1)
    layer.build((None, *PIXELS.shape[1:]))
    layer.set_weights([np.abs(random.normal(1.0, 0.3, weight.shape)).astype(np.float32) for weight in layer.weights])
    first = (
        keras.layers.DepthwiseConv2D(3, 2, "same", use_bias=False)
        if filters is None
        else keras.layers.Conv2D(filters, 3, 2, "same", use_bias=False)
    )
    both = keras.Sequential([keras.Input(PIXELS.shape[1:]), first, keras.layers.BatchNormalization(epsilon=0.1)])
    both.set_weights(layer.get_weights())
    return layer, both


@pytest.mark.parametrize("filters", [None, 5])
@pytest.mark.parametrize("training", [False, True])
def test_values_gradients_and_statistics(filters: int | None, training: bool) -> None:
    layer, both = made(filters)
    found = []
    for network in (layer, both):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(values := network(PIXELS, training=training)))
        found.append((values, tape.gradient(loss, network.trainable_weights), network.get_weights()))
    (values, gradients, weights), (wanted, wanted_gradients, wanted_weights) = found
    assert values.shape == (4, 5, 4, filters or 3) == layer.compute_output_shape(PIXELS.shape)
    np.testing.assert_allclose(values, wanted, atol=1e-4)
    for one, other in zip([*gradients, *weights], [*wanted_gradients, *wanted_weights], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)
    assert training == (not np.array_equal(weights[-1], made(filters)[0].get_weights()[-1]))


def test_a_frozen_layer_keeps_its_statistics() -> None:
    layer, _ = made(5)
    layer.trainable = False
    np.testing.assert_array_equal(layer(PIXELS, training=True), layer(PIXELS))
    assert not layer.trainable_weights


def test_it_saves_and_computes_in_lower_precision(tmp_path) -> None:
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, NormedConvolution(4, 1, momentum=0.5, epsilon=0.2)(inputs))
    model.save(tmp_path / "one.keras")
    again = keras.saving.load_model(tmp_path / "one.keras")
    assert again.layers[1].norm.momentum == 0.5
    np.testing.assert_array_equal(again(PIXELS), model(PIXELS))
    half = NormedConvolution.from_config({**model.layers[1].get_config(), "dtype": "mixed_bfloat16"})
    assert half(PIXELS).dtype == tf.bfloat16
