"""θ ↔ box ↔ pixels.

One convention everywhere: continuous image coordinates, the whole image is the box ``[0, 0, 1, 1]`` and pixel ``i``
of a row of ``n`` covers ``[i/n, (i+1)/n]``. A pyramid's levels therefore share one coordinate system.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def half_extents(scale: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
    """Half height and half width, in coordinates of [-1, 1], of a crop that is square in pixels.

    Args:
      scale: ``[...]`` float, the crop's side as a fraction of the image's shorter side.
      image_size: ``[..., 2]`` height and width in pixels, broadcast against ``scale``.

    Returns:
      ``[..., 2]`` float32, vertical then horizontal.
    """
    size = tf.cast(image_size, tf.float32)
    shorter = tf.reduce_min(size, axis=-1, keepdims=True)
    return scale[..., tf.newaxis] * shorter / size


def boxes_from_theta(theta: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
    """Boxes of the affine transforms of eq. 6.

    ``theta = [s, x, y]``: the side as a fraction of the image's shorter side, the centre in [-1, 1]. On a square image
    this is eq. 6 to the letter; on any other the crop stays square in pixels instead of being squashed.

    Args:
      theta: ``[..., 3]`` float32.
      image_size: ``[..., 2]`` height and width in pixels, broadcast against ``theta``.

    Returns:
      ``[..., 4]`` float32 boxes ``[y0, x0, y1, x1]`` in [0, 1].
    """
    scale, x, y = tf.unstack(theta, axis=-1)
    extent = half_extents(scale, image_size)
    centre = tf.stack([y, x], axis=-1)
    return (tf.concat([centre - extent, centre + extent], axis=-1) + 1.0) / 2.0


def scaled_boxes(theta: tf.Tensor, image_size: tf.Tensor, scales: Sequence[float]) -> tf.Tensor:
    """The boxes of several scales around each place.

    A box of another scale than 1 is moved as little as keeps it inside the image, and is at most as wide as it.

    Args:
      theta: ``[B, T, 3]`` float32, see :func:`boxes_from_theta`.
      image_size: ``[B, 1, 2]`` height and width in pixels.
      scales: Multiples of the side in theta.

    Returns:
      ``[B, T · M, 4]`` float32, look by look, for M scales.
    """
    found = []
    for factor in scales:
        if factor == 1.0:
            found.append(boxes_from_theta(theta, image_size))
            continue
        side = tf.minimum(theta[..., 0] * factor, 1.0)
        room = 1.0 - half_extents(side, image_size)  # [B, T, (y, x)]
        centre = tf.clip_by_value(theta[..., :0:-1], -room, room)
        found.append(boxes_from_theta(tf.stack([side, centre[..., 1], centre[..., 0]], axis=-1), image_size))
    if len(found) == 1:
        return found[0]
    return tf.reshape(tf.stack(found, axis=2), [-1, theta.shape[1] * len(found), 4])


def boxes_to_pixels(boxes: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
    """Boxes in pixels of an image.

    Args:
      boxes: ``[..., 4]`` float32 in [0, 1].
      image_size: ``[..., 2]`` height and width in pixels, broadcast against ``boxes``.

    Returns:
      ``[..., 4]`` float32 ``[y0, x0, y1, x1]`` in pixels, not rounded.
    """
    size = tf.cast(image_size, tf.float32)
    return boxes * tf.concat([size, size], axis=-1)
