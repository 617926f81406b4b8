"""A convolution with a choice of normalisation, and ReLU: the block that every network here is made of."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.group_norm import GroupNorm, groups_for
from tfvs.layers.normed_convolution import NormedConvolution
from tfvs.layers.shapes import CHANNELS_LAST

CONV_NORMALIZATIONS = ("group", "batch", "none")
MOMENTUM = 0.95  # of batch statistics: they are right after a hundred steps


@keras.saving.register_keras_serializable("tfvs")
class ConvBlock(keras.layers.Layer):
    """Convolution → normalisation → ReLU; without normalisation the convolution has a bias instead.

    Args:
      filters: Output channels.
      strides: 2 halves the image (rounded up).
      kernel_size: Side of the kernel, pixels.
      normalization: ``"group"``, ``"batch"`` or ``"none"``.

    Raises:
      ConfigError: An unknown normalisation.
    """

    def __init__(
        self, filters: int, strides: int = 1, kernel_size: int = 3, normalization: str = "group", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require(
            normalization in CONV_NORMALIZATIONS,
            "Unknown normalization of a convolution",
            expected=CONV_NORMALIZATIONS,
            received=repr(normalization),
        )
        self.filters, self.strides, self.kernel_size = filters, strides, kernel_size
        self.normalization = normalization
        options: dict[str, Any] = {"strides": strides, "name": "conv", "dtype": self.dtype_policy}
        self.conv: keras.layers.Layer
        self.norm: keras.layers.Layer | None = None
        if normalization == "batch":
            self.conv = NormedConvolution(filters, kernel_size, momentum=MOMENTUM, **options)
        else:
            self.conv = keras.layers.Conv2D(
                filters,
                kernel_size,
                padding="same",
                use_bias=normalization == "none",
                data_format=CHANNELS_LAST,
                **options,
            )
        if normalization == "group":
            self.norm = GroupNorm(groups_for(filters), name="norm", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[B, H, W, C]``."""
        self.conv.build(input_shape)
        if self.norm is not None:
            self.norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """``[B, H, W, C]`` → ``[B, ⌈H/strides⌉, ⌈W/strides⌉, filters]``."""
        if self.normalization == "batch":
            return tf.nn.relu(self.conv(inputs, training=training))
        x = self.conv(inputs)
        return tf.nn.relu(x if self.norm is None else self.norm(x))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return self.conv.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = {
            "filters": self.filters,
            "strides": self.strides,
            "kernel_size": self.kernel_size,
            "normalization": self.normalization,
        }
        return {**super().get_config(), **config}
