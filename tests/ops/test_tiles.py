"""Tiles that hold what a crop needs."""

import numpy as np
import tensorflow as tf

from tfvs.ops.crop_rule import taps
from tfvs.ops.tiles import tile_span


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
