"""Dense crops: eq. 7 at the level of the crop's scale."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tests.images.pyramids import random_boxes
from tfvs.errors import InputError
from tfvs.images.crops.dense import coarsest_level, pyramid_levels, read_dense_crops, read_region_crops


def by_hat_functions(image, boxes, size):
    """Eq. 7 to the letter: max(0, 1 - distance) between every sample and every pixel of the image."""

    def weights(start, stop, pixels):
        centres = (start + (stop - start) * (tf.range(size, dtype=tf.float32) + 0.5) / size) * pixels
        distance = tf.abs(centres[..., tf.newaxis] - tf.range(pixels, dtype=tf.float32) - 0.5)
        return tf.nn.relu(1.0 - distance)  # [B, T, S, pixels]

    y0, x0, y1, x1 = (edge[..., tf.newaxis] for edge in tf.unstack(boxes, axis=-1))
    rows, columns = weights(y0, y1, image.shape[1]), weights(x0, x1, image.shape[2])
    return tf.einsum("btih,bhwc,btjw->btijc", rows, image, columns)


@pytest.mark.parametrize("read", [read_dense_crops, read_region_crops])
def test_level_0_is_equation_7_with_its_gradients(read):
    image = tf.random.stateless_uniform([2, 90, 70, 3], [1, 2])
    boxes = random_boxes(np.random.default_rng(0), [(90, 70)] * 2, 6)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([image, boxes])
        ours = read(image, boxes, 16, max_level=0)
        hats = by_hat_functions(image, boxes, 16)
        losses = [tf.reduce_sum(crops**2) for crops in (ours, hats)]
    np.testing.assert_allclose(ours, hats, atol=2e-5)
    for source in (image, boxes):
        one, other = (tape.gradient(loss, source).numpy() for loss in losses)
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("read", [read_dense_crops, read_region_crops])
def test_each_crop_comes_from_its_level(read):
    image = tf.random.stateless_uniform([1, 128, 96, 2], [3, 4])
    boxes = tf.constant([[[0.0, 0.0, 0.12, 0.16], [0.1, 0.1, 0.4, 0.5], [0.0, 0.0, 0.75, 1.0]]])
    crops = read(image, boxes, 16, max_level=3)
    levels = pyramid_levels(image, 3)
    for t, level in enumerate((0, 1, 2)):
        expected = by_hat_functions(levels[level], boxes[:, t : t + 1], 16)
        np.testing.assert_allclose(crops[:, t : t + 1], expected, atol=2e-5)


@pytest.mark.parametrize("reader", [read_dense_crops, read_region_crops])
def test_a_size_that_is_not_known_beforehand_changes_nothing(reader):
    read = partial(reader, crop_size=4)
    boxes = random_boxes(np.random.default_rng(1), [(90, 7)], 8) * 1.5 - 0.2
    image = tf.random.stateless_uniform([1, 90, 7, 2], [5, 6])
    unknown = tf.function(read, input_signature=[tf.TensorSpec([None, None, None, 2]), tf.TensorSpec([None, 8, 4])])
    np.testing.assert_allclose(unknown(image, boxes), read(image, boxes), atol=1e-5)


def test_levels_that_no_box_needs_are_not_made():
    assert coarsest_level(tf.TensorShape([1, 512, 700, 3]), 32, max_scale=0.5) == 3
    assert coarsest_level(tf.TensorShape([1, 512, 700, 3]), 32, max_scale=0.5, max_level=1) == 1
    assert coarsest_level(tf.TensorShape([1, 20, 20, 3]), 32, max_scale=0.5) == 0
    assert coarsest_level(tf.TensorShape([1, 512, 700, 3]), 32) == 9


def test_levels_end_where_a_side_would_vanish():
    assert [tuple(level.shape[1:3]) for level in pyramid_levels(tf.zeros([1, 5, 9, 1]), 9)] == [(5, 9), (2, 4), (1, 2)]


def test_wrong_ranks_are_named():
    with pytest.raises(InputError, match="boxes"):
        read_dense_crops(tf.zeros([1, 8, 8, 1]), tf.zeros([1, 4]), 4, max_level=0)
    with pytest.raises(InputError, match="max_level"):
        read_dense_crops(tf.zeros([1, 8, 8, 1]), tf.zeros([1, 1, 4]), 4, max_level=-1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("read", [read_dense_crops, read_region_crops])
def test_levels_of_integers_are_rounded_half_up_as_in_a_pyramid_file(read, dtype):
    top = np.iinfo(dtype).max
    image = np.random.default_rng(1).integers(0, top, (1, 32, 32, 1), dtype, endpoint=True)
    level = image.astype(np.int64)
    for _ in range(2):
        level = (level[:, ::2, ::2] + level[:, 1::2, ::2] + level[:, ::2, 1::2] + level[:, 1::2, 1::2] + 2) // 4
    crops = read(tf.constant(image), tf.constant([[[0.0, 0.0, 1.0, 1.0]]]), 8)
    assert crops.dtype == tf.float32
    np.testing.assert_allclose(crops[0, 0] * top, level[0], atol=top * 1e-6)
