"""Pastes laid over crops in the graph, so that a scene with pastes need not be made as a whole."""

from __future__ import annotations

import tensorflow as tf


def paste_over(crops: tf.Tensor, boxes: tf.Tensor, pastes: tf.Tensor, paste_boxes: tf.Tensor) -> tf.Tensor:
    """Crops as they would be had the pastes been in the image.

    Exact where a crop's pixels are the image's; where they are larger, pastes are averaged with a hat of their width.

    Args:
      crops: ``[B, T, S, S, C]`` float32 in [0, 1], C 1 or 3.
      boxes: ``[B, T, 4]`` float32, of the crops in the image.
      pastes: ``[B, P, h, w, 4]`` uint8, red, green, blue and opacity; later ones lie on earlier ones.
      paste_boxes: ``[B, P, 4]`` float32, of the pastes in the image; without an area where there is no paste.

    Returns:
      ``[B, T, S, S, C]`` float32.
    """
    batch, steps = tf.shape(crops)[0], tf.shape(crops)[1]
    flat = tf.reshape(crops, [batch * steps, *crops.shape[2:]])
    flat_boxes = tf.reshape(boxes, [-1, 4])
    owner = tf.repeat(tf.range(batch), steps)
    for number in range(pastes.shape[1]):
        box = tf.gather(paste_boxes[:, number], owner)  # [B·T, 4]
        overlap = tf.minimum(box[:, 2:], flat_boxes[:, 2:]) - tf.maximum(box[:, :2], flat_boxes[:, :2])
        rows = tf.where(tf.reduce_all(overlap > 0.0, axis=1))
        picked, where = tf.gather_nd(flat, rows), tf.gather_nd(flat_boxes, rows)
        layer = _premultiplied(tf.gather(pastes[:, number], tf.gather_nd(owner, rows)), flat.shape[-1])
        layer = _resample(layer, where, tf.gather_nd(box, rows), flat.shape[1])
        flat = tf.tensor_scatter_nd_update(flat, rows, picked * (1.0 - layer[..., -1:]) + layer[..., :-1])
    return tf.reshape(flat, tf.shape(crops))


def mirror_boxes(boxes: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Where the boxes of a mirrored image lie in the image as it is.

    Args:
      boxes: ``[B, T, 4]`` float32.
      mirrored: ``[B]`` bool.
    """
    y0, x0, y1, x1 = tf.unstack(boxes, axis=-1)
    flipped = tf.stack([y0, 1.0 - x1, y1, 1.0 - x0], axis=-1)
    return tf.where(mirrored[:, tf.newaxis, tf.newaxis], flipped, boxes)


def mirror_crops(crops: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Crops ``[B, T, S, S, C]`` of mirrored images, from those read at :func:`mirror_boxes`."""
    return tf.where(mirrored[:, tf.newaxis, tf.newaxis, tf.newaxis, tf.newaxis], crops[:, :, :, ::-1], crops)


def _premultiplied(pastes: tf.Tensor, channels: int) -> tf.Tensor:
    """``[N, h, w, 4]`` uint8 → ``[N, h, w, C + 1]`` float32: colours times opacity, and opacity."""
    layer = tf.cast(pastes, tf.float32) / 255.0
    colours = layer[..., :3]
    if channels == 1:
        colours = tf.reduce_sum(colours * tf.constant([0.299, 0.587, 0.114]), axis=-1, keepdims=True)
    return tf.concat([colours * layer[..., 3:], layer[..., 3:]], axis=-1)


def _resample(layer: tf.Tensor, boxes: tf.Tensor, layer_boxes: tf.Tensor, size: int) -> tf.Tensor:
    """``[N, h, w, C]`` that lies at one box, seen through another: ``[N, size, size, C]``, zero beside the layer."""
    weights = []
    for axis in (0, 1):
        length = tf.cast(tf.shape(layer)[1 + axis], tf.float32)
        start, stop = layer_boxes[:, axis], layer_boxes[:, axis + 2]
        per_unit = length / (stop - start)
        low, high = ((boxes[:, axis + 2 * end] - start) * per_unit for end in (0, 1))
        pitch = tf.maximum((high - low) / size, 1.0)[:, tf.newaxis, tf.newaxis]
        middles = (tf.range(size, dtype=tf.float32) + 0.5) / size
        positions = low[:, tf.newaxis] + (high - low)[:, tf.newaxis] * middles  # [N, S]
        distance = tf.abs(positions[..., tf.newaxis] - (tf.range(length) + 0.5)) / pitch
        weights.append(tf.nn.relu(1.0 - distance) / pitch)
    return tf.einsum("nih,nhwc,njw->nijc", weights[0], layer, weights[1])
