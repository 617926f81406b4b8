"""The localized transformer is the transformer; with no margin it is the paper's."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvs.layers import LocalizedSpatialTransformer, SpatialTransformer
from tfvs.ops import boxes as box_ops

RNG = np.random.default_rng(2)


def crops_and_gradient(layer, image, theta):
    theta = tf.constant(theta)
    size = tf.constant(image.shape[1:3])
    with tf.GradientTape() as tape:
        tape.watch(theta)
        crops = layer(image, box_ops.boxes_from_theta(theta, size))
        loss = tf.reduce_mean(tf.cast(crops, tf.float32) ** 2)
    return tf.cast(crops, tf.float32).numpy(), tape.gradient(loss, theta).numpy()


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(3, 60),
    width=st.integers(3, 60),
    channels=st.integers(1, 4),
    crop_size=st.integers(1, 24),
    margin=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "float64"]),
    fill=st.sampled_from([0.0, 0.3]),
    theta=st.lists(st.tuples(st.floats(0.05, 1.3), st.floats(-1.2, 1.2), st.floats(-1.2, 1.2)), min_size=1, max_size=4),
)
def test_lst_is_st_over_boxes_sizes_borders_and_dtypes(height, width, channels, crop_size, margin, dtype, fill, theta):
    image = tf.constant(RNG.random((1, height, width, channels)), tf.float32)
    theta = np.array([theta], "float32")
    full = SpatialTransformer(crop_size, fill_value=fill, dtype=dtype)
    local = LocalizedSpatialTransformer(crop_size, margin_px=margin, fill_value=fill, dtype=dtype)
    expected, gradient = crops_and_gradient(full, image, theta)
    crops, local_gradient = crops_and_gradient(local, image, theta)
    np.testing.assert_allclose(crops, expected, atol=1e-5)
    np.testing.assert_allclose(local_gradient, gradient, atol=1e-5, rtol=1e-4)


def test_float16_images():
    image = tf.constant(RNG.random((1, 30, 40, 2)), tf.float16)
    theta = np.array([[[0.4, 0.1, -0.3], [0.9, 0.5, 0.5]]], "float32")
    expected, _ = crops_and_gradient(SpatialTransformer(8), image, theta)
    crops, _ = crops_and_gradient(LocalizedSpatialTransformer(8), image, theta)
    np.testing.assert_allclose(crops, expected, atol=2e-3)


def test_without_a_margin_the_border_of_an_enlarged_crop_is_lost():
    image = tf.ones([1, 40, 40, 1])
    theta = np.array([[[0.2, 0.05, 0.05]]], "float32")  # 8 pixels seen with 24
    expected, _ = crops_and_gradient(SpatialTransformer(24), image, theta)
    crops, _ = crops_and_gradient(LocalizedSpatialTransformer(24, margin_px=0), image, theta)
    np.testing.assert_allclose(expected, 1.0, atol=1e-6)
    assert crops[0, 0, 0, 0, 0] < 0.99
    np.testing.assert_allclose(crops[0, 0, 8:16, 8:16], 1.0, atol=1e-6)


def reference(image, box, size, fill):
    """Eq. 7 by four neighbours, pixel by pixel, in float64."""
    height, width, channels = image.shape
    y0, x0, y1, x1 = (float(edge) for edge in box)
    cells = (np.arange(size) + 0.5) / size
    out = np.zeros((size, size, channels))
    for i, y in enumerate((y0 + (y1 - y0) * cells) * height - 0.5):
        for j, x in enumerate((x0 + (x1 - x0) * cells) * width - 0.5):
            for row in (int(np.floor(y)), int(np.floor(y)) + 1):
                for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                    inside = 0 <= row < height and 0 <= column < width
                    pixel = image[row, column] if inside else np.full(channels, fill)
                    out[i, j] += pixel * (1 - abs(y - row)) * (1 - abs(x - column))
    return out


@pytest.mark.parametrize("make", [SpatialTransformer, LocalizedSpatialTransformer])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("fill", [0.0, 0.7])
def test_one_level_is_equation_7(make, channels, fill):
    image = RNG.random((1, 9, 14, channels)).astype("float32")
    box = np.array([-0.2, 0.1, 0.9, 1.3], "float32")
    crops = make(6, fill_value=fill, max_level=0)(image, box[None, None])
    np.testing.assert_allclose(crops[0, 0], reference(image[0], box, 6, fill), atol=1e-5)


def test_keras_map_coordinates():
    image = RNG.random((20, 31)).astype("float32")
    box = np.array([0.1, 0.2, 0.9, 0.7], "float32")
    cells = (np.arange(7) + 0.5) / 7
    ys, xs = (0.1 + 0.8 * cells) * 20, (0.2 + 0.5 * cells) * 31
    grid = np.stack(np.meshgrid(ys - 0.5, xs - 0.5, indexing="ij")).astype("float32")
    expected = keras.ops.image.map_coordinates(image, grid, order=1)
    crop = SpatialTransformer(7, max_level=0)(image[None, ..., None], box[None, None])[0, 0, ..., 0]
    np.testing.assert_allclose(crop, expected, atol=1e-5)


@pytest.mark.parametrize("make", [SpatialTransformer, LocalizedSpatialTransformer])
def test_gradients_are_finite_differences_in_s_x_and_y(make):
    # The reference in float64, on a smooth image, where no sample is near the centre of a pixel.
    y, x = np.mgrid[0:24, 0:30]
    image = (np.sin(y / 3.0) * np.cos(x / 4.0))[..., None]
    weights = RNG.normal(size=(5, 5, 1))
    theta = tf.constant([[[0.531, 0.123, -0.217]]])

    def by_reference(theta):
        s, cx, cy = theta
        half = s * np.array([1.0, 24 / 30])  # square in pixels
        centre = np.array([cy, cx])
        box = (np.concatenate([centre - half, centre + half]) + 1) / 2
        return np.sum(reference(image, box, 5, 0.0) * weights)

    layer = make(5, max_level=0)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        crops = layer(tf.constant(image[None], tf.float32), box_ops.boxes_from_theta(theta, tf.constant([24, 30])))
        loss = tf.reduce_sum(crops[0, 0] * tf.constant(weights, tf.float32))
    gradient = tape.gradient(loss, theta).numpy()[0, 0]
    start, step = theta.numpy()[0, 0].astype(np.float64), 1e-6
    for i in range(3):
        offset = np.eye(3)[i] * step
        difference = (by_reference(start + offset) - by_reference(start - offset)) / (2 * step)
        assert gradient[i] == pytest.approx(difference, rel=1e-3)
        assert abs(gradient[i]) > 1e-3


@pytest.mark.parametrize("make", [SpatialTransformer, LocalizedSpatialTransformer])
def test_a_wide_crop_is_sampled_from_a_coarser_level_unless_told_not_to(make):
    stripes = np.tile(np.array([0.0, 1.0], "float32"), 32)[None, None, :, None].repeat(64, 1)  # one pixel wide
    box = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
    np.testing.assert_allclose(make(16)(stripes, box), 0.5, atol=1e-6)
    shifted = tf.constant([[[0.0, 0.5 / 64, 1.0, 1.0 + 0.5 / 64]]])  # samples at the centres of the same stripes
    assert np.abs(make(16, max_level=0)(stripes, shifted)[0, 0, 1:-1, 1:-1] - 0.5).min() > 0.4


def test_symbolic_call_on_tiles():
    features = {"pyramid/uri": keras.KerasTensor([None], "string")}
    layer = LocalizedSpatialTransformer(8)
    output = layer(features, keras.KerasTensor([None, 3, 4]), roots=["/data"], channels=3)
    assert tuple(output.crops.shape) == (None, 3, 8, 8, 3)
    assert tuple(output.valid.shape) == tuple(output.tiles_read.shape) == (None,)


def test_identity():
    image = tf.constant(RNG.random((1, 16, 16, 3)), tf.float32)
    np.testing.assert_allclose(
        SpatialTransformer(16)(image, tf.constant([[[0.0, 0.0, 1.0, 1.0]]]))[:, 0], image, atol=1e-6
    )


def test_outside_the_image_is_the_fill():
    image = tf.zeros([1, 10, 10, 1])
    far = tf.constant([[[2.0, 2.0, 3.0, 3.0]]])
    for layer in (SpatialTransformer(4, fill_value=0.25), LocalizedSpatialTransformer(4, fill_value=0.25)):
        np.testing.assert_allclose(layer(image, far), 0.25, atol=1e-6)
