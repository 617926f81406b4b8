"""θ ↔ box ↔ pixels."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvs.ops import boxes

SIDE = st.integers(8, 5000)


def test_the_whole_square_image():
    box = boxes.boxes_from_theta(tf.constant([1.0, 0.0, 0.0]), tf.constant([64, 64]))
    np.testing.assert_allclose(box, [0.0, 0.0, 1.0, 1.0], atol=1e-7)


def test_x_moves_columns_and_y_moves_rows():
    box = boxes.boxes_from_theta(tf.constant([0.5, 0.5, -0.5]), tf.constant([64, 64]))
    np.testing.assert_allclose(box, [0.0, 0.5, 0.5, 1.0], atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(SIDE, SIDE, st.floats(0.01, 1.0), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_crops_are_square_in_pixels_around_their_centre(height, width, s, x, y):
    theta, size = tf.constant([s, x, y]), tf.constant([height, width])
    box = boxes.boxes_from_theta(theta, size)
    y0, x0, y1, x1 = boxes.boxes_to_pixels(box, size).numpy()
    side = s * min(height, width)
    np.testing.assert_allclose([y1 - y0, x1 - x0], side, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose([(x0 + x1) / width - 1, (y0 + y1) / height - 1], [x, y], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(100, 100), (60, 200)])
def test_batches_broadcast(size):
    theta = tf.random.uniform([3, 4, 3])
    box = boxes.boxes_from_theta(theta, tf.constant([[size]] * 3))
    assert box.shape == (3, 4, 4)
    np.testing.assert_allclose(box[1, 2], boxes.boxes_from_theta(theta[1, 2], tf.constant(size)), atol=1e-6)
