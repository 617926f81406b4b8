"""The crop rule: which pyramid level, which pixels and which weights make a crop by bilinear sampling (eq. 7).

It is stated twice, side by side: in TensorFlow for graphs (``pitches`` to ``fill_outside``) and in NumPy for clients
and tests (``numpy_boxes`` to ``numpy_crop``). Everything that cuts crops asks one of the two, and one property test
(``tests/images/crops/test_one_rule.py``) holds every reader to them:

- **Level.** The coarsest level that still has a pixel for every sample, but none above ``max_level``.
- **Samples.** The centres of ``crop_size`` equal cells between the box's edges, along either axis.
- **Weights.** ``1 - distance`` for the two pixels around a sample whose centres are less than one pixel away.
- **Margin.** Only pixels of the region count: those that the box touches, and ``margin_px`` around it.
- **Fill.** What lies outside the image or the region has the value ``fill_value``.

The affine transform of eq. 6 has no rotation, so the kernel is separable and each axis is handled by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvs.errors import InputError

# Coarsest sampling accepted, in level pixels per crop pixel. Pyramids that halve at each level never exceed 2; those
# that quarter reach 4; a lone level 0 exceeds any bound, and is refused beyond this one.
MAX_PITCH = 8.0
# Boxes are clipped to this many sides of the image: what lies farther away is as blank, and its pixels have finite
# numbers.
FAR = 1e4

# Reads a window of a level: the level's number and y0, x0, y1, x1 in its pixels → [h, w, C] float32.
ReadWindow = Callable[[int, tuple[int, int, int, int]], np.ndarray]


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
    boxes = tf.clip_by_value(boxes, -FAR, FAR)
    sides = tf.abs(boxes[..., 2:] - boxes[..., :2])[:, :, tf.newaxis]  # [B, T, 1, 2]
    return tf.reduce_max(sides * tf.cast(level_sizes, tf.float32)[:, tf.newaxis], axis=-1) / crop_size


def choose_level(boxes: tf.Tensor, level_sizes: tf.Tensor, crop_size: int, max_level: int | None = None) -> tf.Tensor:
    """The coarsest level that still has a pixel for every sample: pitch in [1, 2) where levels halve.

    A coarser level would blur, a finer one alias. Where even level 0 has fewer pixels than samples, it is level 0.

    Args:
      boxes: ``[B, T, 4]`` float32.
      level_sizes: ``[B, L, 2]`` height and width of each level, finest first, padded with zeros.
      crop_size: Samples along a crop's side.
      max_level: Coarsest level that may be chosen; None: any.

    Returns:
      ``[B, T]`` int32.
    """
    fine_enough = pitches(boxes, level_sizes, crop_size) >= 1.0
    level = tf.maximum(tf.reduce_sum(tf.cast(fine_enough, tf.int32), axis=-1) - 1, 0)
    return level if max_level is None else tf.minimum(level, max_level)


def taps(start: tf.Tensor, stop: tf.Tensor, size: tf.Tensor, crop_size: int, margin_px: int | None) -> Taps:
    """The neighbours of every sample along one axis.

    Args:
      start: ``[...]`` float32, where the box begins, in [0, 1].
      stop: ``[...]`` float32, where it ends.
      size: ``[...]`` int, pixels of the level along the axis.
      crop_size: Samples along the axis.
      margin_px: Pixels around the box that belong to the region; None: the region is the whole image. From 1 on the
        crop and its gradient are those of the whole image; 0 is the paper's localized transformer, which loses what
        lies outside the support of the grid.

    Returns:
      Indices and weights.
    """
    pixels = tf.cast(size, tf.float32)
    low, high = (tf.clip_by_value(edge, -FAR, FAR) * pixels for edge in (start, stop))
    cells = (tf.range(crop_size, dtype=tf.float32) + 0.5) / crop_size
    centres = low[..., tf.newaxis] + (high - low)[..., tf.newaxis] * cells - 0.5  # [..., S], pixel m's centre is m
    floor = tf.stop_gradient(tf.floor(centres))
    fraction = centres - floor
    neighbours = tf.stack([floor, floor + 1.0], axis=-2)  # [..., 2, S]
    weight = tf.stack([1.0 - fraction, fraction], axis=-2)
    first, last = tf.zeros_like(low), tf.broadcast_to(pixels, tf.shape(low)) - 1.0
    if margin_px is not None:
        first = tf.maximum(tf.floor(tf.minimum(low, high)) - margin_px, first)
        last = tf.minimum(tf.math.ceil(tf.maximum(low, high)) + margin_px - 1.0, last)
    inside = (neighbours >= first[..., tf.newaxis, tf.newaxis]) & (neighbours <= last[..., tf.newaxis, tf.newaxis])
    index = tf.clip_by_value(neighbours, 0.0, tf.maximum(pixels - 1.0, 0.0)[..., tf.newaxis, tf.newaxis])
    index = tf.where(tf.math.is_finite(index), index, 0.0)  # a box of NaN reads nothing, and fails nobody else
    ends = tf.stop_gradient(tf.gather(centres, [0, crop_size - 1], axis=-1))
    return Taps(tf.cast(index, tf.int32), tf.where(tf.stop_gradient(inside), weight, 0.0), ends)


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


def fill_outside(crops: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, fill_value: float) -> tf.Tensor:
    """Adds the fill where the weights of a sample do not add up to 1, since part of it lies outside.

    Args:
      crops: ``[..., S, S, C]`` float, blended.
      rows: ``[..., 2, S]`` weights along the vertical axis.
      columns: ``[..., 2, S]`` weights along the horizontal axis.
      fill_value: Value outside the image and the region.

    Returns:
      The crops, in their dtype.
    """
    if not fill_value:
        return crops
    seen = tf.reduce_sum(rows, -2)[..., :, tf.newaxis] * tf.reduce_sum(columns, -2)[..., tf.newaxis, :]
    return crops + tf.cast(fill_value * (1.0 - seen), crops.dtype)[..., tf.newaxis]


def numpy_boxes(boxes: np.ndarray) -> np.ndarray:
    """Checked boxes, ``[T, 4]`` float32.

    Raises:
      InputError: Another shape, or a number that is not finite.
    """
    boxes = np.asarray(boxes, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise InputError("The boxes cannot be used", expected="[T, 4] and finite", received=f"{boxes.shape} {boxes}")
    return boxes


def numpy_level(
    box: np.ndarray, level_sizes: np.ndarray, crop_size: int, max_level: int | None = None
) -> tuple[int, float]:
    """The NumPy twin of :func:`choose_level` and :func:`pitches`, for one box.

    Args:
      box: ``[4]`` float.
      level_sizes: ``[L, 2]`` height and width of each level, finest first.
      crop_size: Samples along a crop's side.
      max_level: Coarsest level that may be chosen; None: any.

    Returns:
      The level, and the distance between neighbouring samples in its pixels.
    """
    box = np.clip(np.asarray(box, np.float32), np.float32(-FAR), np.float32(FAR))
    sides = np.abs(box[2:] - box[:2])
    pitch = (sides * np.asarray(level_sizes).astype(np.float32)).max(axis=1) / np.float32(crop_size)  # [L]
    level = max(int((pitch >= 1.0).sum()) - 1, 0)
    level = level if max_level is None else min(level, max_level)
    return level, float(pitch[level])


def numpy_taps(
    start: float, stop: float, size: int, crop_size: int, margin_px: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The NumPy twin of :func:`taps`: ``[2, S]`` int64 indices and ``[2, S]`` float32 weights."""
    far, pixels = np.float32(FAR), np.float32(size)
    low, high = (np.clip(np.float32(edge), -far, far) * pixels for edge in (start, stop))
    cells = (np.arange(crop_size, dtype=np.float32) + np.float32(0.5)) / np.float32(crop_size)
    centres = low + (high - low) * cells - np.float32(0.5)
    floor = np.floor(centres)
    neighbours = np.stack([floor, floor + 1])
    weight = np.stack([1 - (centres - floor), centres - floor])
    first, last = np.float32(0), pixels - 1
    if margin_px is not None:
        first = max(np.floor(min(low, high)) - margin_px, first)
        last = min(np.ceil(max(low, high)) + margin_px - 1, last)
    inside = (neighbours >= first) & (neighbours <= last)
    return np.clip(neighbours, 0, size - 1).astype(np.int64), np.where(inside, weight, 0).astype(np.float32)


def numpy_crop(
    read: ReadWindow,
    level_sizes: np.ndarray,
    box: np.ndarray,
    crop_size: int,
    *,
    margin_px: int | None = 1,
    max_level: int | None = None,
    fill_value: float = 0.0,
) -> np.ndarray:
    """One crop by the whole rule, from anything that can read a window of a level.

    Args:
      read: Reads a window; it is asked for one that lies within the level and has at least one pixel.
      level_sizes: ``[L, 2]`` height and width of each level, finest first.
      box: ``[4]`` float ``[y0, x0, y1, x1]`` in [0, 1], finite.
      crop_size: Side S, pixels.
      margin_px: See :func:`taps`.
      max_level: See :func:`choose_level`.
      fill_value: See :func:`fill_outside`.

    Returns:
      ``[S, S, C]`` float32.
    """
    level, _ = numpy_level(box, level_sizes, crop_size, max_level)
    height, width = (int(side) for side in level_sizes[level])
    rows, row_weights = numpy_taps(box[0], box[2], height, crop_size, margin_px)
    columns, column_weights = numpy_taps(box[1], box[3], width, crop_size, margin_px)
    top, left = int(rows.min()), int(columns.min())
    pixels = read(level, (top, left, int(rows.max()) + 1, int(columns.max()) + 1))
    lines = pixels[rows - top].astype(np.float32)  # [2, S, w, C]
    across = (lines * row_weights[..., np.newaxis, np.newaxis]).sum(0)[:, columns - left]  # [S, 2, S, C]
    crop = (across * column_weights[np.newaxis, ..., np.newaxis]).sum(1)
    seen = row_weights.sum(0)[:, np.newaxis] * column_weights.sum(0)  # [S, S]
    return crop + np.float32(fill_value) * (1 - seen)[..., np.newaxis] if fill_value else crop
