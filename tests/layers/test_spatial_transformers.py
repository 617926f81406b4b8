"""The localized transformer is the transformer; with no margin it is the paper's."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvs.images.crops.dense import read_dense_crops
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


def test_the_reader_of_dense_images_agrees_at_level_0():
    image = tf.constant(RNG.random((2, 50, 70, 3)), tf.float32)
    theta = tf.constant(RNG.uniform(0.2, 0.5, (2, 3, 3)), tf.float32)
    boxes = box_ops.boxes_from_theta(theta, tf.constant([50, 70]))
    for margin in (0, 1):
        expected = LocalizedSpatialTransformer(20, margin_px=margin)(image, boxes)
        crops = read_dense_crops(image, boxes, 20, margin_px=margin, max_level=0)
        np.testing.assert_allclose(crops, expected, atol=1e-5)


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
