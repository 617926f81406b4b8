"""Bringing images to a common mean and contrast."""

from __future__ import annotations

import tensorflow as tf

# Variance below which an image counts as flat, so that its noise does not become structure: 13 grey levels of 255.
SMALLEST_VARIANCE = 0.0025


def standardize(pixels: tf.Tensor, mean: float = 0.5, stddev: float = 0.25) -> tf.Tensor:
    """Each image brought to one mean and one standard deviation; the latter is smaller where an image is nearly flat.

    Args:
      pixels: ``[N, h, w, C]`` float in [0, 1].
      mean: Mean of each image afterwards.
      stddev: Standard deviation of each image afterwards.

    Returns:
      As ``pixels``, not clipped.
    """
    own_mean, own_variance = tf.nn.moments(pixels, axes=[1, 2, 3], keepdims=True)
    return mean + stddev * (pixels - own_mean) * tf.math.rsqrt(own_variance + SMALLEST_VARIANCE)
