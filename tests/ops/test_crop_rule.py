"""The crop rule: levels, taps and blending; TensorFlow and NumPy state the same."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvs.errors import InputError
from tfvs.ops.crop_rule import blend, choose_level, numpy_boxes, numpy_crop, numpy_level, numpy_taps, pitches, taps

SIZES = tf.constant([[[1000, 800], [500, 400], [250, 200], [125, 100], [0, 0]]])


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 1.0), st.sampled_from([8, 32, 64]))
def test_pitch_lies_between_one_and_two_where_a_level_allows_it(side, crop_size):
    boxes = tf.constant([[[0.0, 0.0, side, side]]], tf.float32)
    level = int(choose_level(boxes, SIZES, crop_size)[0, 0])
    pitch = float(pitches(boxes, SIZES, crop_size)[0, 0, level])
    assert pitch >= 1.0 or level == 0
    assert pitch < 2.0001 or level == 3


def test_taps_at_the_border_and_with_margins():
    axis = taps(tf.constant(-0.15), tf.constant(0.35), tf.constant(10), 5, 1)
    # Samples at -1, 0, 1, 2, 3 pixels, each half-way between two centres.
    np.testing.assert_array_equal(axis.index, [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3]])
    np.testing.assert_allclose(tf.reduce_sum(axis.weight, 0), [0, 0.5, 1, 1, 1], atol=1e-5)
    tight = taps(tf.constant(0.5), tf.constant(0.6), tf.constant(10), 4, 0)
    np.testing.assert_allclose(tf.reduce_sum(tight.weight, 0), [0.625, 0.875, 0.875, 0.625], atol=1e-5)
    wide = taps(tf.constant(0.5), tf.constant(0.6), tf.constant(10), 4, 1)
    np.testing.assert_allclose(tf.reduce_sum(wide.weight, 0), np.ones(4), atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_blend_is_equation_7_on_four_neighbours(dtype):
    rng = np.random.default_rng(0)
    neighbours = tf.cast(rng.integers(0, 255, (3, 2, 5, 2, 5, 2)), dtype)
    rows, columns = (tf.constant(rng.random((3, 2, 5)), tf.float32) for _ in range(2))
    upstream = tf.constant(rng.random((3, 5, 5, 2)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([rows, columns])
        found = blend(neighbours, rows, columns)
        loss = tf.reduce_sum(found * upstream)
    gradients = tape.gradient(loss, [rows, columns])
    values = np.asarray(neighbours, np.float64)
    np.testing.assert_allclose(found, np.einsum("nkiljc,nki,nlj->nijc", values, rows, columns), rtol=1e-5)
    expected = (
        np.einsum("nkiljc,nlj,nijc->nki", values, columns, upstream),
        np.einsum("nkiljc,nki,nijc->nlj", values, rows, upstream),
    )
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.floats(-2.0, 3.0, width=32, allow_subnormal=False)] * 4),
    st.integers(1, 40),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from([None, 0, 1, 100]),
)
def test_numpy_states_what_tensorflow_states(box, crop_size, max_level, margin):
    sizes = np.array([[100, 80], [50, 40], [25, 20], [12, 10]])
    boxes = tf.constant([[box]], tf.float32)
    level = int(choose_level(boxes, tf.constant(sizes[np.newaxis]), crop_size, max_level)[0, 0])
    found, pitch = numpy_level(np.array(box), sizes, crop_size, max_level)
    assert found == level
    assert pitch == pytest.approx(float(pitches(boxes, tf.constant(sizes[np.newaxis]), crop_size)[0, 0, level]))
    for axis in (0, 1):
        size = int(sizes[level, axis])
        ours = taps(boxes[0, 0, axis], boxes[0, 0, axis + 2], tf.constant(size), crop_size, margin)
        index, weight = numpy_taps(box[axis], box[axis + 2], size, crop_size, margin)
        np.testing.assert_array_equal(index, ours.index)
        np.testing.assert_allclose(weight, ours.weight, atol=1e-6)


def test_a_crop_of_numpy_is_equation_7_with_its_fill():
    pixels = np.arange(12.0, dtype=np.float32).reshape(3, 4, 1)

    def read(level, window):
        y0, x0, y1, x1 = window
        return pixels[y0:y1, x0:x1]

    sizes = np.array([[3, 4]])
    whole = numpy_crop(read, sizes, np.array([0, 0, 1, 0.75], np.float32), 3)
    np.testing.assert_allclose(whole, pixels[:, :3], atol=1e-5)
    # Samples at pixels -1, 0, 1 down and -1, 0, 1 across: the first row and column lie outside.
    over = numpy_crop(read, sizes, np.array([-1 / 3, -0.25, 2 / 3, 0.5], np.float32), 3, fill_value=0.5)
    np.testing.assert_allclose(over[..., 0], [[0.5, 0.5, 0.5], [0.5, 0, 1], [0.5, 4, 5]], atol=1e-5)


@pytest.mark.parametrize("boxes", [np.zeros([4]), np.zeros([2, 3]), np.array([[0, 0, np.nan, 1]])])
def test_boxes_that_cannot_be_used_are_named(boxes):
    with pytest.raises(InputError, match="finite"):
        numpy_boxes(boxes)
