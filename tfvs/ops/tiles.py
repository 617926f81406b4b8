"""Which tiles hold the pixels that a crop needs."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfvs.ops.crop_rule import Taps


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
