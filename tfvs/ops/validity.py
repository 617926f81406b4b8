"""What is given of images that could not be read."""

from __future__ import annotations

import tensorflow as tf


def where_valid(valid: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Values of the images that are valid, and zeros for the others: a NaN spreads no further.

    Where all are valid nothing is copied: choosing pixel by pixel took a tenth of a training step.

    >>> where_valid(tf.constant([True, False]), tf.constant([[1.0, 2.0], [float("nan"), 4.0]])).numpy().tolist()
    [[1.0, 2.0], [0.0, 0.0]]

    Args:
      valid: ``[B]`` bool.
      values: ``[B, …]`` float.
    """

    def chosen() -> tf.Tensor:
        return tf.where(tf.reshape(valid, [-1, *[1] * (values.shape.rank - 1)]), values, 0.0)

    return tf.cond(tf.reduce_all(valid), lambda: values, chosen)
