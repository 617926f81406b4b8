"""Dense crops: eq. 7 at the level of the crop's scale."""

import numpy as np
import pytest
import tensorflow as tf

from tests.images.pyramids import random_boxes
from tfvs.errors import InputError
from tfvs.images.crops.dense import pyramid_levels, read_dense_crops
from tfvs.ops.sampling import bilinear_sample, sample_positions


def by_hat_functions(image, boxes, size):
    height, width = image.shape[1:3]
    ys = sample_positions(boxes[..., 0] * height, boxes[..., 2] * height, size)
    xs = sample_positions(boxes[..., 1] * width, boxes[..., 3] * width, size)
    return bilinear_sample(image, ys, xs)


def test_level_0_is_the_spatial_transformer_with_its_gradients():
    image = tf.random.stateless_uniform([2, 90, 70, 3], [1, 2])
    boxes = random_boxes(np.random.default_rng(0), [(90, 70)] * 2, 6)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([image, boxes])
        ours = read_dense_crops(image, boxes, 16, max_level=0)
        hats = by_hat_functions(image, boxes, 16)
        losses = [tf.reduce_sum(crops**2) for crops in (ours, hats)]
    np.testing.assert_allclose(ours, hats, atol=2e-5)
    for source in (image, boxes):
        one, other = (tape.gradient(loss, source).numpy() for loss in losses)
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())


def test_each_crop_comes_from_its_level():
    image = tf.random.stateless_uniform([1, 128, 96, 2], [3, 4])
    boxes = tf.constant([[[0.0, 0.0, 0.12, 0.16], [0.1, 0.1, 0.4, 0.5], [0.0, 0.0, 0.75, 1.0]]])
    crops = read_dense_crops(image, boxes, 16, max_level=3)
    levels = pyramid_levels(image, 3)
    for t, level in enumerate((0, 1, 2)):
        expected = by_hat_functions(levels[level], boxes[:, t : t + 1], 16)
        np.testing.assert_allclose(crops[:, t : t + 1], expected, atol=2e-5)


def test_levels_end_where_a_side_would_vanish():
    assert [tuple(level.shape[1:3]) for level in pyramid_levels(tf.zeros([1, 5, 9, 1]), 9)] == [(5, 9), (2, 4), (1, 2)]


def test_wrong_ranks_are_named():
    with pytest.raises(InputError, match="boxes"):
        read_dense_crops(tf.zeros([1, 8, 8, 1]), tf.zeros([1, 4]), 4, max_level=0)
    with pytest.raises(InputError, match="max_level"):
        read_dense_crops(tf.zeros([1, 8, 8, 1]), tf.zeros([1, 1, 4]), 4, max_level=-1)
