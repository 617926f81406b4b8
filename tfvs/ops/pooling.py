"""How a feature map becomes one vector."""

from __future__ import annotations

import tensorflow as tf

# Each name: how many values it gives per channel.
POOLINGS = {"max": 1, "mean": 1, "mean_max": 2}


def pool_map(feature_map: tf.Tensor, pooling: str) -> tf.Tensor:
    """Pools over rows and columns.

    Args:
      feature_map: ``[N, h, w, F]``.
      pooling: ``"max"``, ``"mean"`` or ``"mean_max"``, both side by side.

    Returns:
      ``[N, F]``, with ``"mean_max"`` ``[N, 2 F]``.
    """
    if pooling == "max":
        return tf.reduce_max(feature_map, axis=[1, 2])
    means = tf.reduce_mean(feature_map, axis=[1, 2])
    return means if pooling == "mean" else tf.concat([means, tf.reduce_max(feature_map, axis=[1, 2])], axis=-1)
