"""Levels, taps and tile spans."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvs.ops.tiles import blend, choose_level, pitches, taps, tile_span

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


def test_spans_hold_every_pixel_of_weight():
    start = tf.random.stateless_uniform([200], [1, 1], -0.3, 1.1)
    stop = start + tf.random.stateless_uniform([200], [2, 2], -0.4, 0.5)
    axis = taps(start, stop, tf.fill([200], 300), 16, 1)
    span = tile_span(axis, tf.fill([200], 64))
    for index, weight, low, high, first, count in zip(axis.index, axis.weight, *span, strict=True):
        pixels = np.unique(np.asarray(index)[np.asarray(weight) > 0])
        assert (len(pixels) == 0) == (int(count) == 0)
        if len(pixels):
            assert (pixels[0], pixels[-1]) == (int(low), int(high))
            assert (pixels[0] // 64, pixels[-1] // 64) == (int(first), int(first + count - 1))


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
