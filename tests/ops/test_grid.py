"""Cells of maps against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfvs.ops import grid

RNG = np.random.default_rng(12)


@pytest.mark.parametrize(("size", "cells"), [((12, 8), (3, 4)), ((10, 7), (4, 3)), ((5, 6), (5, 6))])
def test_cell_means_are_means_by_area(size, cells):
    x = RNG.random((2, *size, 3)).astype("float32")
    fine = np.repeat(np.repeat(x, cells[0], axis=1), cells[1], axis=2)  # every pixel as whole subpixels
    blocks = fine.reshape(2, cells[0], size[0], cells[1], size[1], 3)
    np.testing.assert_allclose(grid.cell_means(tf.constant(x), cells), blocks.mean((2, 4)), atol=1e-5)


def test_all_pixels_of_a_cell_become_its_channels():
    x = RNG.random((2, 6, 8, 3)).astype("float32")
    deep = grid.cells_to_depth(tf.constant(x), (3, 2)).numpy()
    assert deep.shape == (2, 3, 2, 24)
    np.testing.assert_array_equal(deep[1, 2, 1].reshape(2, 4, 3), x[1, 4:6, 4:8])


@pytest.mark.parametrize(("size", "channels"), [((7, 9), 8), ((2, 2), 2)])
def test_maps_that_do_not_divide_are_enlarged(size, channels):
    deep = grid.cells_to_depth(tf.ones([1, *size, 2]), (4, 5))
    assert deep.shape == (1, 4, 5, channels)
    np.testing.assert_allclose(deep, 1.0, atol=1e-6)
