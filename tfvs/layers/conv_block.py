"""A convolution, group normalisation and ReLU: the brick of every network here."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.layers.group_norm import GroupNorm, groups_for

CONV_NORMALIZATIONS = ("group", "none")


@keras.saving.register_keras_serializable("tfvs")
class ConvBlock(keras.layers.Layer):
    """3×3 convolution without bias → group normalisation → ReLU.

    Args:
      filters: Output channels.
      strides: 2 halves the image (rounded up).
      kernel_size: Side of the kernel, pixels.
    """

    def __init__(self, filters: int, strides: int = 1, kernel_size: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.strides, self.kernel_size = filters, strides, kernel_size
        self.conv = keras.layers.Conv2D(
            filters, kernel_size, strides=strides, padding="same", use_bias=False, name="conv", dtype=self.dtype_policy
        )
        self.norm = GroupNorm(groups_for(filters), name="norm", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[B, H, W, C]``."""
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """``[B, H, W, C]`` → ``[B, ⌈H/strides⌉, ⌈W/strides⌉, filters]``."""
        return tf.nn.relu(self.norm(self.conv(inputs)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return self.conv.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = {"filters": self.filters, "strides": self.strides, "kernel_size": self.kernel_size}
        return {**super().get_config(), **config}
