"""Which pyramid level, which pixels and which tiles a crop needs. Shared by dense images and tiled ones."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfvs.ops.sampling import sample_positions

# Coarsest sampling accepted, in level pixels per crop pixel. Pyramids that halve at each level never exceed 2; those
# that quarter reach 4; a lone level 0 exceeds any bound, and is refused beyond this one.
MAX_PITCH = 8.0


class Taps(NamedTuple):
    """The two neighbours of every sample along one axis, and their weights in eq. 7.

    Attributes:
      index: ``[..., 2, S]`` int32, pixels of the level, clipped to it.
      weight: ``[..., 2, S]`` float32, 0 outside the image and outside the region. Differentiable in the box.
      ends: ``[..., 2]`` float32, where the first and the last sample lie: pixel m has its centre at m. Not
        differentiable.
    """

    index: tf.Tensor
    weight: tf.Tensor
    ends: tf.Tensor


def pitches(boxes: tf.Tensor, level_sizes: tf.Tensor, crop_size: int) -> tf.Tensor:
    """Distance between neighbouring samples, in pixels of each level, along the axis where it is larger.

    Args:
      boxes: ``[B, T, 4]`` float32.
      level_sizes: ``[B, L, 2]`` height and width of each level, finest first.
      crop_size: Samples along a crop's side.

    Returns:
      ``[B, T, L]`` float32.
    """
    sides = tf.abs(boxes[..., 2:] - boxes[..., :2])[:, :, tf.newaxis]  # [B, T, 1, 2]
    return tf.reduce_max(sides * tf.cast(level_sizes, tf.float32)[:, tf.newaxis], axis=-1) / crop_size


def choose_level(boxes: tf.Tensor, level_sizes: tf.Tensor, crop_size: int) -> tf.Tensor:
    """The coarsest level that still has a pixel for every sample: pitch in [1, 2) where levels halve.

    A coarser level would blur, a finer one alias. Where even level 0 has fewer pixels than samples, level 0 it is.

    Args:
      boxes: ``[B, T, 4]`` float32.
      level_sizes: ``[B, L, 2]`` height and width of each level, finest first, padded with zeros.
      crop_size: Samples along a crop's side.

    Returns:
      ``[B, T]`` int32.
    """
    fine_enough = pitches(boxes, level_sizes, crop_size) >= 1.0
    return tf.maximum(tf.reduce_sum(tf.cast(fine_enough, tf.int32), axis=-1) - 1, 0)


def taps(start: tf.Tensor, stop: tf.Tensor, size: tf.Tensor, crop_size: int, margin_px: int) -> Taps:
    """The neighbours of every sample along one axis.

    Args:
      start: ``[...]`` float32, where the box begins, in [0, 1].
      stop: ``[...]`` float32, where it ends.
      size: ``[...]`` int, pixels of the level along the axis.
      crop_size: Samples along the axis.
      margin_px: Pixels around the box that are read too. From 1 on the crop and its gradient are exact; 0 is the
        paper's localized transformer, which loses what lies outside the support of the grid.

    Returns:
      Indices and weights.
    """
    pixels = tf.cast(size, tf.float32)
    low, high = start * pixels, stop * pixels
    centres = sample_positions(low, high, crop_size) - 0.5  # [..., S], pixel m has its centre at m
    floor = tf.stop_gradient(tf.floor(centres))
    fraction = centres - floor
    neighbours = tf.stack([floor, floor + 1.0], axis=-2)  # [..., 2, S]
    weight = tf.stack([1.0 - fraction, fraction], axis=-2)
    first = tf.maximum(tf.floor(tf.minimum(low, high)) - margin_px, 0.0)[..., tf.newaxis, tf.newaxis]
    last = tf.minimum(tf.math.ceil(tf.maximum(low, high)) + margin_px, pixels)[..., tf.newaxis, tf.newaxis] - 1.0
    inside = tf.stop_gradient((neighbours >= first) & (neighbours <= last))
    index = tf.clip_by_value(neighbours, 0.0, tf.maximum(pixels - 1.0, 0.0)[..., tf.newaxis, tf.newaxis])
    index = tf.where(tf.math.is_finite(index), index, 0.0)  # a box of NaN reads nothing, and fails nobody else
    ends = tf.stop_gradient(tf.gather(centres, [0, crop_size - 1], axis=-1))
    return Taps(tf.cast(index, tf.int32), tf.where(inside, weight, 0.0), ends)


def blend(neighbours: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Eq. 7 on the four neighbours of every sample.

    Args:
      neighbours: ``[N, 2, S, 2, S, C]`` of any dtype: top and bottom, row, left and right, column, band.
      rows: ``[N, 2, S]`` float weights of top and bottom.
      columns: ``[N, 2, S]`` weights of left and right.

    Returns:
      ``[N, S, S, C]``, the dtype of the weights. Differentiable in everything.
    """
    bands = neighbours.shape[-1]
    shape = tf.shape(neighbours)
    number, samples = shape[0], shape[2]
    # Weights that broadcast along one whole axis: the reductions of their gradients then run over contiguous memory.
    lines = tf.reshape(neighbours, [number, 2, samples, 2 * samples * bands])
    top, bottom = (tf.cast(line, rows.dtype) for line in tf.unstack(lines, axis=1))  # [N, S, 2·S·C]
    above, below = tf.unstack(rows[..., tf.newaxis], axis=1)  # [N, S, 1]
    across = tf.reshape(top * above + bottom * below, [number, samples, 2, samples * bands])
    left, right = tf.unstack(across, axis=2)  # [N, S, S·C]
    columns = tf.reshape(tf.tile(columns[..., tf.newaxis], [1, 1, 1, bands]), [number, 2, 1, samples * bands])
    before, behind = tf.unstack(columns, axis=1)  # [N, 1, S·C]
    return tf.reshape(left * before + right * behind, [number, samples, samples, bands])


class TileSpan(NamedTuple):
    """The pixels that a crop needs along one axis, and the tiles that hold them.

    Attributes:
      low: ``[...]`` int32, the first pixel that carries weight.
      high: ``[...]`` int32, the last one; -1 where none does.
      first: ``[...]`` int32, the first tile.
      count: ``[...]`` int32, how many; 0 where no sample lies inside the image.
    """

    low: tf.Tensor
    high: tf.Tensor
    first: tf.Tensor
    count: tf.Tensor


def tile_span(axis: Taps, tile_size: tf.Tensor) -> TileSpan:
    """Pixels and tiles needed along one axis.

    Args:
      axis: The samples' neighbours, ``[..., 2, S]``.
      tile_size: ``[...]`` int32, pixels of a tile along the axis, at least 1.

    Returns:
      First and last pixel, first tile and number of tiles.
    """
    used = axis.weight > 0.0
    low = tf.reduce_min(tf.where(used, axis.index, tf.int32.max), axis=[-2, -1])
    high = tf.reduce_max(tf.where(used, axis.index, -1), axis=[-2, -1])
    some = high >= 0
    first = tf.where(some, low // tile_size, 0)
    return TileSpan(low, high, first, tf.where(some, high // tile_size - first + 1, 0))
