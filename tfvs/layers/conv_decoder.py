"""The decoder of the proxy, p(x̂ | z_t, h_{t-1})."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvs.layers.conv_encoder import MAX_MAP_SIDE
from tfvs.layers.shapes import CHANNELS_LAST


@keras.saving.register_keras_serializable("tfvs")
class ConvDecoder(keras.layers.Layer):
    """A dense layer, then transposed convolutions up to the proxy: the parameters of p(x̂ | z_t, h_{t-1}), eq. 10.

    Args:
      output_shape: ``(h, w, channels)``; channels are the likelihood's parameters, not only the proxy's bands.
      filters: Channels before each transposed convolution; each doubles the image. What exceeds the proxy is cut off.
        Where the first map would be larger than 16 × 16, further ones of ``filters[0]`` channels come first.
    """

    def __init__(self, output_shape: Sequence[int], filters: Sequence[int] = (16, 16, 8), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_shape, self.filters = tuple(output_shape), tuple(filters)
        height, width, channels = self.image_shape
        doublings = max(math.ceil(math.log2(max(height, width) / MAX_MAP_SIDE)) - len(self.filters), 0)
        widths = (*self.filters[:1] * doublings, *self.filters)
        factor = 2 ** len(widths)
        start = (math.ceil(height / factor), math.ceil(width / factor), self.filters[0])
        policy = self.dtype_policy
        self.dense = keras.layers.Dense(math.prod(start), activation="relu", name="dense", dtype=policy)
        self.reshape = keras.layers.Reshape(start, name="reshape", dtype=policy)
        self.blocks = [
            keras.layers.Conv2DTranspose(
                outputs,
                4,
                strides=2,
                padding="same",
                activation=activation,
                name=f"block_{i}",
                dtype=policy,
                data_format=CHANNELS_LAST,
            )
            for i, (outputs, activation) in enumerate(
                [*((f, "relu") for f in widths[1:]), (channels, None)],
            )
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[B, D]``."""
        self.dense.build(input_shape)
        shape = self.dense.compute_output_shape(input_shape)
        self.reshape.build(shape)
        shape = self.reshape.compute_output_shape(shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """``[B, D]`` → ``[B, h, w, channels]``, unconstrained."""
        x = self.reshape(self.dense(inputs))
        for block in self.blocks:
            x = block(x)
        height, width, _ = self.image_shape
        return x[:, :height, :width]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (input_shape[0], *self.image_shape)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), "output_shape": self.image_shape, "filters": self.filters}
