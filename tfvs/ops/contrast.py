"""Bringing images to a common mean and contrast."""

from __future__ import annotations

import tensorflow as tf

# Variance below which an image counts as flat, so that its noise does not become structure: 13 grey levels of 255.
SMALLEST_VARIANCE = 0.0025


def standardize(pixels: tf.Tensor) -> tf.Tensor:
    """Each image brought to mean 0.5 and standard deviation 0.25, less where it is nearly flat.

    Args:
      pixels: ``[N, h, w, C]`` float in [0, 1].

    Returns:
      As ``pixels``, not clipped.
    """
    mean, variance = tf.nn.moments(pixels, axes=[1, 2, 3], keepdims=True)
    return 0.5 + 0.25 * (pixels - mean) * tf.math.rsqrt(variance + SMALLEST_VARIANCE)
