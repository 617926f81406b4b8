"""Crops of images that fit in memory, by the crop rule: sampled from the whole image, or from regions cut out of it."""

from __future__ import annotations

import math

import tensorflow as tf

from tfvs.errors import InputError
from tfvs.ops.crop_rule import Taps, blend, choose_level, fill_outside, taps

# Levels made of an image whose size is not known when the graph is: enough for crops of 32 pixels out of 65 536.
UNKNOWN_SIZE_LEVEL = 11
# Pixels that are copied in the time of gathering one: 17 or more on one core of an AMD EPYC, from 100 to 1 500 pixels.
COPIED_PER_GATHERED = 8


def pyramid_levels(image: tf.Tensor, max_level: int, *, whole: bool = False) -> list[tf.Tensor]:
    """The image and its means over 2 x 2 pixels, again and again, until a side would vanish.

    An odd last row or column is left out of the next level, as libvips does.

    Args:
      image: ``[B, H, W, C]`` float32.
      max_level: Largest number of halvings.
      whole: Whether means are rounded to whole numbers, half up, as libvips rounds the levels of a pyramid file.

    Returns:
      At most ``max_level + 1`` tensors ``[B, H/2^l, W/2^l, C]``; where a side is not known beforehand, those that
      would have none keep one pixel.
    """
    levels = [image]
    for _ in range(max_level):
        height, width = levels[-1].shape[1], levels[-1].shape[2]
        if (height is not None and height < 2) or (width is not None and width < 2):
            break
        finer = levels[-1]
        if height is None or width is None:  # a side of one pixel is kept, so that no level is empty
            missing = tf.maximum(2 - tf.shape(finer), 0) * [0, 1, 1, 0]
            padded = tf.pad(finer, tf.stack([tf.zeros_like(missing), missing], axis=1), "SYMMETRIC")
            finer = tf.ensure_shape(padded, [finer.shape[0], None, None, finer.shape[-1]])
        means = tf.nn.avg_pool2d(finer, 2, 2, "VALID")
        levels.append(tf.floor(means + 0.5) if whole else means)
    return levels


def coarsest_level(
    image_shape: tf.TensorShape, crop_size: int, *, max_level: int | None = None, max_scale: float | None = None
) -> int:
    """The coarsest pyramid level that a crop of a dense image can need.

    Args:
      image_shape: ``[B, H, W, C]``; sides may be unknown.
      crop_size: Side of the crops, pixels.
      max_level: Coarsest level that may be chosen; None: any.
      max_scale: Largest side of a box as a fraction of the image's shorter side; None: any.

    Returns:
      The number of halvings.
    """
    sides = [side for side in image_shape[1:3] if side is not None]
    if len(sides) < 2:
        needed = UNKNOWN_SIZE_LEVEL
    elif max_scale is None:
        needed = math.floor(math.log2(max(min(sides), 1)))  # a coarser level has no pixels
    else:  # a little more, since the level is chosen in float32
        needed = math.floor(math.log2(max(max_scale * min(sides) / crop_size, 1.0)) + 1e-5)
    return needed if max_level is None else min(needed, max_level)


def read_dense_crops(
    image: tf.Tensor,
    boxes: tf.Tensor,
    crop_size: int,
    *,
    max_level: int | None = None,
    max_scale: float | None = None,
    fill_value: float = 0.0,
) -> tf.Tensor:
    """Crops sampled from the whole image: four gathered neighbours around every sample.

    Args:
      image: ``[B, H, W, C]`` float, or uint8 or uint16, whose levels are those of a pyramid file to the grey level.
      boxes: ``[B, T, 4]`` float32.
      crop_size: Side of the crops, pixels.
      max_level: Coarsest level that is read; 0 samples the image itself, which aliases where crops are large; None:
        the level of each crop's scale.
      max_scale: Largest side of a box as a fraction of the image's shorter side, if known: levels that only larger
        crops need are not made.
      fill_value: Value outside the image.

    Returns:
      ``[B, T, crop_size, crop_size, C]``, the dtype of the image, or float32 in [0, 1] for an image of integers.
      Differentiable in boxes and in an image of floats.

    Raises:
      InputError: A rank is wrong or ``max_level`` is negative.
    """
    levels, axes, number, width = _plan(image, boxes, crop_size, None, max_level, max_scale)
    rows, columns = axes
    batch, steps, bands, samples = tf.shape(boxes)[0], tf.shape(boxes)[1], image.shape[3], crop_size
    begin = tf.gather(_begins(levels), number)  # [B, T]
    line = begin[..., tf.newaxis, tf.newaxis] + rows.index * width[..., tf.newaxis, tf.newaxis]  # [B, T, 2, S]
    index = line[..., tf.newaxis, tf.newaxis] + columns.index[:, :, tf.newaxis, tf.newaxis]  # [B, T, 2, S, 2, S]

    def gather(pixels: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(place, [batch, steps * 4 * samples * samples])
        return tf.reshape(tf.gather(pixels, flat, batch_dims=1), [batch * steps, 4 * samples * samples * bands])

    if len(levels) == 1 or _copied_at_less_cost(image.shape, boxes.shape, samples):
        neighbours = gather(_flat(levels), index)
    else:
        # The finest level is gathered from where it lies, since copying it costs more than all that follows.
        finest = (number == 0)[..., tf.newaxis, tf.newaxis, tf.newaxis, tf.newaxis]
        coarse = index - tf.reduce_prod(tf.shape(levels[0])[1:3])
        neighbours = tf.where(
            tf.reshape(finest, [batch * steps, 1]),
            gather(_flat(levels[:1]), tf.where(finest, index, 0)),
            gather(_flat(levels[1:]), tf.where(finest, 0, coarse)),
        )
    neighbours = tf.reshape(neighbours, [batch * steps, 2, samples, 2, samples, bands])
    flat_rows, flat_columns = (
        tf.cast(tf.reshape(axis.weight, [batch * steps, 2, samples]), levels[0].dtype) for axis in axes
    )
    crops = tf.reshape(blend(neighbours, flat_rows, flat_columns), [batch, steps, samples, samples, bands])
    return _shaped(fill_outside(crops, rows.weight, columns.weight, fill_value), image, boxes)


def read_region_crops(
    image: tf.Tensor,
    boxes: tf.Tensor,
    crop_size: int,
    *,
    margin_px: int = 1,
    max_level: int | None = None,
    max_scale: float | None = None,
    fill_value: float = 0.0,
) -> tf.Tensor:
    """Crops sampled from regions of interest, each cut out first and then resampled by two small matrices.

    Args:
      image: ``[B, H, W, C]`` float.
      boxes: ``[B, T, 4]`` float32.
      crop_size: Side of the crops, pixels.
      margin_px: Pixels around a box that belong to its region; see :func:`tfvs.ops.crop_rule.taps`.
      max_level: As in :func:`read_dense_crops`.
      max_scale: As in :func:`read_dense_crops`.
      fill_value: Value outside the image and outside the region.

    Returns:
      ``[B, T, crop_size, crop_size, C]``, the dtype of the image, or float32 in [0, 1] for an image of integers.
      Differentiable in boxes and in an image of floats.

    Raises:
      InputError: A rank is wrong or ``max_level`` is negative.
    """
    levels, (rows, columns), number, width = _plan(image, boxes, crop_size, margin_px, max_level, max_scale)
    begin = tf.gather(_begins(levels), number)  # [B, T]
    (top, height), (left, across) = (_region(axis) for axis in (rows, columns))
    last = tf.gather(tf.stack([tf.shape(level)[1:3] for level in levels]), number) - 1  # [B, T, 2]
    row = tf.minimum(top[..., tf.newaxis] + tf.range(height), last[..., :1])  # [B, T, h]
    column = tf.minimum(left[..., tf.newaxis] + tf.range(across), last[..., 1:])  # [B, T, w]
    line = begin[..., tf.newaxis] + row * width[..., tf.newaxis]
    regions = tf.gather(
        _flat(levels), line[..., tf.newaxis] + column[..., tf.newaxis, :], batch_dims=1
    )  # [B, T, h, w, C]
    row_matrix = tf.cast(_matrix(rows, top, height), levels[0].dtype)  # [B, T, S, h]
    column_matrix = tf.cast(_matrix(columns, left, across), levels[0].dtype)  # [B, T, S, w]
    crops = tf.einsum("btih,bthwc,btjw->btijc", row_matrix, regions, column_matrix)
    return _shaped(fill_outside(crops, rows.weight, columns.weight, fill_value), image, boxes)


def _plan(
    image: tf.Tensor,
    boxes: tf.Tensor,
    crop_size: int,
    margin_px: int | None,
    max_level: int | None,
    max_scale: float | None,
) -> tuple[list[tf.Tensor], tuple[Taps, Taps], tf.Tensor, tf.Tensor]:
    """Levels; taps down and across; the number of each crop's level and the width of that level, ``[B, T]`` each."""
    if image.shape.rank != 4 or boxes.shape.rank != 3:
        raise InputError(
            "Dense crops need a batch of images and of boxes",
            expected="image [B, H, W, C], boxes [B, T, 4]",
            received=f"{image.shape}, {boxes.shape}",
        )
    if max_level is not None and max_level < 0:
        raise InputError("max_level is negative", expected="0 or more, or None", received=max_level)
    coarsest = coarsest_level(image.shape, crop_size, max_level=max_level, max_scale=max_scale)
    if image.dtype.is_integer:
        levels = pyramid_levels(tf.cast(image, tf.float32), coarsest, whole=True)
        levels = [level / float(image.dtype.max) for level in levels]
    else:
        levels = pyramid_levels(image, coarsest)
    sizes = tf.stack([tf.shape(level)[1:3] for level in levels])  # [L, 2]
    if len(levels) == 1:
        number = tf.zeros(tf.shape(boxes)[:2], tf.int32)
    else:
        # A level that would have vanished is none: its size counts as 0, so that it is never chosen.
        halved = tf.bitwise.right_shift(sizes[:1], tf.range(len(levels))[:, tf.newaxis])
        offered = tf.where(tf.reduce_all(halved > 0, axis=1, keepdims=True), sizes, 0)
        offered = tf.tile(offered[tf.newaxis], [tf.shape(image)[0], 1, 1])
        number = choose_level(boxes, offered, crop_size, max_level)  # [B, T]
    height, width = tf.unstack(tf.gather(sizes, number), axis=-1)  # [B, T]
    rows = taps(boxes[..., 0], boxes[..., 2], height, crop_size, margin_px)  # [B, T, 2, S]
    columns = taps(boxes[..., 1], boxes[..., 3], width, crop_size, margin_px)
    return levels, (rows, columns), number, width


def _copied_at_less_cost(image: tf.TensorShape, boxes: tf.TensorShape, samples: int) -> bool:
    """Whether copying an image costs less than gathering all neighbours twice: it is not much larger than its crops."""
    height, width, steps = image[1], image[2], boxes[1]
    if height is None or width is None or steps is None:
        return False
    return height * width <= COPIED_PER_GATHERED * steps * 4 * samples**2


def _flat(levels: list[tf.Tensor]) -> tf.Tensor:
    """Pixels of the levels, one after the other: ``[B, N, C]``."""
    pixels = [tf.reshape(level, [tf.shape(level)[0], -1, level.shape[-1]]) for level in levels]
    return pixels[0] if len(pixels) == 1 else tf.concat(pixels, axis=1)


def _begins(levels: list[tf.Tensor]) -> tf.Tensor:
    """``[L]`` int32: where each level begins among the flat pixels."""
    return tf.cumsum(tf.stack([tf.reduce_prod(tf.shape(level)[1:3]) for level in levels]), exclusive=True)


def _region(axis: Taps) -> tuple[tf.Tensor, tf.Tensor]:
    """Where each region begins, ``[B, T]``, and the pixels of the longest one."""
    first = tf.reduce_min(axis.index, axis=[-2, -1])
    return first, tf.reduce_max(tf.reduce_max(axis.index, axis=[-2, -1]) - first) + 1


def _matrix(axis: Taps, first: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """The weights of eq. 7 between the samples and the pixels of a region, ``[B, T, S, length]``."""
    place = axis.index - first[..., tf.newaxis, tf.newaxis]  # [B, T, 2, S]
    hot = tf.one_hot(place, length, dtype=axis.weight.dtype)  # [B, T, 2, S, length]
    return tf.reduce_sum(hot * axis.weight[..., tf.newaxis], axis=2)


def _shaped(crops: tf.Tensor, image: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    batch = image.shape[0] if image.shape[0] is not None else boxes.shape[0]
    return tf.ensure_shape(crops, [batch, boxes.shape[1], *crops.shape[2:]])
