"""Pixels and feature maps on a grid of cells: means of cells, and all of a cell's pixels as its channels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def cell_means(x: tf.Tensor, cells: tuple[int, int]) -> tf.Tensor:
    """The mean of every cell, weighted by area where cells are not whole pixels.

    Args:
      x: ``[B, h, w, c]`` float32, h and w known.
      cells: Rows and columns.

    Returns:
      ``[B, rows, columns, c]`` float32.
    """
    height, width = x.shape[1], x.shape[2]
    rows, columns = cells
    if (height, width) == cells:
        return x
    if height % rows == 0 and width % columns == 0:
        block = (height // rows, width // columns)
        return tf.nn.avg_pool2d(x, block, block, "VALID")
    return tf.einsum("rh,bhwc,sw->brsc", _overlaps(height, rows), x, _overlaps(width, columns))


def cells_to_depth(x: tf.Tensor, cells: tuple[int, int]) -> tf.Tensor:
    """A map on the grid of cells: everything in a cell becomes its channels, nothing is averaged away.

    Args:
      x: ``[B, h, w, c]`` float, h and w known. A map that does not divide into cells is enlarged bilinearly until it
        does; one that is coarser than the grid is enlarged to it.
      cells: Rows and columns.

    Returns:
      ``[B, rows, columns, c · pixels per cell]``, the dtype of ``x``.
    """
    rows, columns = cells
    down, across = depth_of(x.shape[1:3], cells)
    if (x.shape[1], x.shape[2]) != (rows * down, columns * across):
        x = tf.cast(tf.image.resize(x, (rows * down, columns * across)), x.dtype)
    if (down, across) == (1, 1):
        return x
    channels = x.shape[3]
    blocks = tf.reshape(x, [-1, rows, down, columns, across, channels])
    return tf.reshape(tf.transpose(blocks, [0, 1, 3, 2, 4, 5]), [-1, rows, columns, down * across * channels])


def depth_of(size: tuple[int, int], cells: tuple[int, int]) -> tuple[int, int]:
    """Pixels of a map per cell, down and across, rounded up."""
    return -(-size[0] // cells[0]), -(-size[1] // cells[1])


def _overlaps(pixels: int, cells: int) -> np.ndarray:
    """``[cells, pixels]`` float32, the share of each pixel in each cell; rows sum to 1."""
    edges = np.arange(cells + 1) * (pixels / cells)
    pixel = np.arange(pixels)
    low = np.maximum(edges[:-1, np.newaxis], pixel)
    high = np.minimum(edges[1:, np.newaxis], pixel + 1)
    return (np.maximum(high - low, 0.0) * (cells / pixels)).astype(np.float32)
