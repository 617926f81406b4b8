"""Attention on a feature map that gives a place: the expected position under a softmax."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

INITIAL_GAIN = 1.0
INITIAL_FOCUS = 4.0


@keras.saving.register_keras_serializable("tfvs")
class SpatialAttention(keras.layers.Layer):
    """Where the features answer a query: soft-argmax over the map (Levine et al. 2016).

    ``p = softmax_{ij}(g · ⟨m_{ij}, W q / ‖W q‖⟩ − κ ‖(x_j, y_i) − a‖²)``, and the place is ``Σ p_{ij} · (x_j, y_i)``.

    What is learned about one place holds for all of them, so that things are found after a fraction of the images that
    a dense layer needs. Two things that look alike would get equal weights, and the place would lie between them: the
    anchor ``a`` prefers the nearer one. The query has norm 1 and its gain g is learned, so that the first steps, in
    which Adam changes the query's direction, move the place only a little. κ is learned too.
    """

    def build(
        self,
        feature_map_shape: tuple[int | None, ...],
        query_shape: tuple[int | None, ...],
        anchor_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        """Args: feature_map_shape: ``[B, h, w, F]``; query_shape: ``[B, D]``; anchor_shape: ``[2]``."""
        self.query = keras.layers.Dense(int(feature_map_shape[-1] or 0), name="query", dtype=self.dtype_policy)
        self.query.build(query_shape)
        self.log_gain = self._scalar("log_gain", INITIAL_GAIN)
        self.log_focus = self._scalar("log_focus", INITIAL_FOCUS)

    def _scalar(self, name: str, value: float) -> keras.Variable:
        initializer = keras.initializers.Constant(math.log(value))
        return self.add_weight(shape=(), initializer=initializer, name=name, dtype="float32", autocast=False)

    def call(self, feature_map: tf.Tensor, query: tf.Tensor, anchor: tf.Tensor | None = None) -> tf.Tensor:
        """The place.

        Args:
          feature_map: ``[B, h, w, F]``, h and w known.
          query: ``[B, D]``.
          anchor: ``[2]`` float32 ``(x, y)`` in [-1, 1]; None has no preference.

        Returns:
          ``[B, 2]`` float32 ``(x, y)`` in (-1, 1), the centres of the map's outer cells at most.
        """
        height, width = feature_map.shape[1:3]
        places = tf.stack(tf.meshgrid(_cell_centres(width), _cell_centres(height)), axis=-1)  # [h, w, (x, y)]
        direction = tf.math.l2_normalize(tf.cast(self.query(query), tf.float32), axis=-1)
        answers = tf.einsum("bhwf,bf->bhw", feature_map, tf.cast(direction, feature_map.dtype))
        scores = tf.exp(self.log_gain) * tf.cast(answers, tf.float32)
        if anchor is not None:
            distances = tf.reduce_sum(tf.square(places - tf.cast(anchor, tf.float32)), axis=-1)  # [h, w]
            scores -= tf.exp(self.log_focus) * distances
        weights = tf.reshape(tf.nn.softmax(tf.reshape(scores, [-1, height * width])), [-1, height, width])
        return tf.einsum("bhw,hwp->bp", weights, places)

    def compute_output_shape(
        self,
        feature_map_shape: tuple[int | None, ...],
        query_shape: tuple[int | None, ...],
        anchor_shape: tuple[int | None, ...] | None = None,
    ) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (feature_map_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        """All arguments: none of its own."""
        return super().get_config()


def spread_anchors(number: int) -> np.ndarray:
    """Places spread evenly over an image: rows of nearly equal length.

    >>> spread_anchors(3).tolist()
    [[-0.5, -0.5], [0.5, -0.5], [0.0, 0.5]]

    Args:
      number: How many, at least 1.

    Returns:
      ``[number, 2]`` float32 ``(x, y)`` in (-1, 1).
    """
    rows = np.array_split(np.arange(number), round(number**0.5))
    return np.array(
        [
            (_middle(column, len(row)), _middle(line, len(rows)))
            for line, row in enumerate(rows)
            for column in range(len(row))
        ],
        np.float32,
    )


def _middle(index: int, count: int) -> float:
    return (2 * index + 1) / count - 1


def _cell_centres(cells: int) -> tf.Tensor:
    return (tf.range(cells, dtype=tf.float32) + 0.5) * (2.0 / cells) - 1.0
