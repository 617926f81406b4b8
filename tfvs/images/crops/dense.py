"""Crops of images that fit in memory, by the same rules as crops from tiles."""

from __future__ import annotations

import tensorflow as tf

from tfvs.errors import InputError
from tfvs.ops.tiles import blend, choose_level, taps


def pyramid_levels(image: tf.Tensor, max_level: int) -> list[tf.Tensor]:
    """The image and its means over 2 x 2 pixels, again and again, until a side would vanish.

    An odd last row or column is left out of the next level, as libvips does.

    Args:
      image: ``[B, H, W, C]`` float32.
      max_level: Largest number of halvings.

    Returns:
      At most ``max_level + 1`` tensors ``[B, H/2^l, W/2^l, C]``.
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
        levels.append(tf.nn.avg_pool2d(finer, 2, 2, "VALID"))
    return levels


def read_dense_crops(
    image: tf.Tensor, boxes: tf.Tensor, crop_size: int, *, margin_px: int = 1, max_level: int
) -> tf.Tensor:
    """Crops from the pyramid level of their scale.

    Args:
      image: ``[B, H, W, C]`` float32.
      boxes: ``[B, T, 4]`` float32.
      crop_size: Side of the crops, pixels.
      margin_px: See :func:`tfvs.ops.tiles.taps`.
      max_level: Coarsest level that is made; 0 samples the image itself, which aliases where crops are large.

    Returns:
      ``[B, T, crop_size, crop_size, C]`` float32, zero outside the image. Differentiable in image and boxes.

    Raises:
      InputError: A rank is wrong or ``max_level`` is negative.
    """
    if image.shape.rank != 4 or boxes.shape.rank != 3:
        raise InputError(
            "Dense crops need a batch of images and of boxes",
            expected="image [B, H, W, C], boxes [B, T, 4]",
            received=f"{image.shape}, {boxes.shape}",
        )
    if max_level < 0:
        raise InputError("max_level is negative", expected="0 or more", received=max_level)
    levels = pyramid_levels(image, max_level)
    sizes = tf.stack([tf.shape(level)[1:3] for level in levels])  # [L, 2]
    batch = tf.shape(image)[0]
    level_of_crop = choose_level(boxes, tf.tile(sizes[tf.newaxis], [batch, 1, 1]), crop_size)  # [B, T]
    crops = None
    for number, level in enumerate(levels):
        chosen = tf.cast(level_of_crop == number, level.dtype)[..., tf.newaxis, tf.newaxis, tf.newaxis]
        found = _sample(level, boxes, crop_size, margin_px) * chosen
        crops = found if crops is None else crops + found
    return crops


def _sample(level: tf.Tensor, boxes: tf.Tensor, crop_size: int, margin_px: int) -> tf.Tensor:
    shape = tf.shape(level)
    batch, height, width = shape[0], shape[1], shape[2]
    steps, bands, samples = tf.shape(boxes)[1], level.shape[3], crop_size
    rows = taps(boxes[..., 0], boxes[..., 2], height, samples, margin_px)  # [B, T, 2, S]
    columns = taps(boxes[..., 1], boxes[..., 3], width, samples, margin_px)
    index = rows.index[..., tf.newaxis, tf.newaxis] * width + columns.index[:, :, tf.newaxis, tf.newaxis]
    pixels = tf.reshape(level, [batch, height * width, bands])
    flat = tf.reshape(index, [batch, steps * 4 * samples * samples])
    neighbours = tf.gather(pixels, flat, batch_dims=1)
    neighbours = tf.reshape(neighbours, [batch * steps, 2, samples, 2, samples, bands])
    row_weight, column_weight = (tf.reshape(axis.weight, [batch * steps, 2, samples]) for axis in (rows, columns))
    crops = blend(neighbours, tf.cast(row_weight, level.dtype), tf.cast(column_weight, level.dtype))
    return tf.reshape(crops, [batch, steps, samples, samples, bands])
