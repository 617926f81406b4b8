"""The metric of how many targets the crops cover."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfvs")
class Coverage(keras.metrics.Metric):
    """Share of targets whose centre lies in at least one of an image's crops.

    It measures localisation that was learned without location labels; it is not used in training.

    >>> coverage = Coverage()
    >>> coverage.update_state([[[0.1, 0.1, 0.2, 0.2], [0.7, 0.7, 0.9, 0.9]]], [[[0.0, 0.0, 0.5, 0.5]]])
    >>> float(coverage.result())
    0.5
    """

    def __init__(self, name: str = "coverage", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.covered = self.add_weight(name="covered", shape=(), initializer="zeros")
        self.total = self.add_weight(name="total", shape=(), initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch.

        Args:
          y_true: ``[B, D, 4]`` boxes of the targets, ``[y0, x0, y1, x1]`` in [0, 1].
          y_pred: ``[B, T, 4]`` boxes of the crops.
          sample_weight: ``[B]``.
        """
        targets = tf.cast(tf.convert_to_tensor(y_true), tf.float32)
        crops = tf.cast(tf.convert_to_tensor(y_pred), tf.float32)[:, tf.newaxis]  # [B, 1, T, 4]
        centres = ((targets[..., :2] + targets[..., 2:]) / 2.0)[:, :, tf.newaxis]  # [B, D, 1, 2]
        inside = tf.reduce_all((centres >= crops[..., :2]) & (centres <= crops[..., 2:]), axis=-1)
        found = tf.cast(tf.reduce_any(inside, axis=-1), tf.float32)  # [B, D]
        weights = tf.ones_like(found)
        if sample_weight is not None:
            weights *= tf.reshape(tf.cast(sample_weight, tf.float32), [-1, 1])
        self.covered.assign_add(tf.reduce_sum(found * weights))
        self.total.assign_add(tf.reduce_sum(weights))

    def result(self) -> tf.Tensor:
        """Share in [0, 1]; 0 before the first batch."""
        return tf.math.divide_no_nan(tf.convert_to_tensor(self.covered), tf.convert_to_tensor(self.total))
