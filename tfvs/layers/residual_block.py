"""The basic residual block of ResNet18."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.errors import ConfigError
from tfvs.layers.batch_norm import BatchNormalization
from tfvs.layers.group_norm import GroupNorm, groups_for
from tfvs.layers.shapes import CHANNELS_LAST

NORMALIZATIONS = ("batch", "group")


def make_norm(kind: str, channels: int, name: str, dtype: Any) -> keras.layers.Layer:
    """Batch or group normalisation.

    Raises:
      ConfigError: An unknown kind.
    """
    if kind not in NORMALIZATIONS:
        raise ConfigError("Unknown normalization", expected=NORMALIZATIONS, received=repr(kind))
    if kind == "group":
        return GroupNorm(groups_for(channels), name=name, dtype=dtype)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name, dtype=dtype)


@keras.saving.register_keras_serializable("tfvs")
class ResidualBlock(keras.layers.Layer):
    """Two 3×3 convolutions with normalisation, added to the input (He et al. 2015).

    Where the shape changes, the shortcut is a 1×1 convolution.

    Args:
      filters: Output channels.
      strides: 2 halves the image (rounded up).
      normalization: ``"batch"`` or ``"group"``.

    Raises:
      ConfigError: An unknown normalisation.
    """

    def __init__(self, filters: int, strides: int = 1, normalization: str = "batch", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.strides, self.normalization = filters, strides, normalization
        self.conv_1, self.norm_1 = self._pair("1", 3, strides)
        self.conv_2, self.norm_2 = self._pair("2", 3, 1)
        self.shortcut: keras.layers.Layer | None = None
        self.shortcut_norm: keras.layers.Layer | None = None

    def _pair(self, name: str, kernel_size: int, strides: int) -> tuple[keras.layers.Layer, keras.layers.Layer]:
        conv = keras.layers.Conv2D(
            self.filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv_{name}",
            dtype=self.dtype_policy,
            data_format=CHANNELS_LAST,
        )
        return conv, make_norm(self.normalization, self.filters, f"norm_{name}", self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[B, H, W, C]``."""
        output_shape = self.compute_output_shape(input_shape)
        self.conv_1.build(input_shape)
        self.norm_1.build(output_shape)
        self.conv_2.build(output_shape)
        self.norm_2.build(output_shape)
        if self.strides != 1 or input_shape[-1] != self.filters:
            self.shortcut, self.shortcut_norm = self._pair("shortcut", 1, self.strides)
            self.shortcut.build(input_shape)
            self.shortcut_norm.build(output_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """``[B, H, W, C]`` → ``[B, ⌈H/strides⌉, ⌈W/strides⌉, filters]``."""
        x = tf.nn.relu(self.norm_1(self.conv_1(inputs), training=training))
        x = self.norm_2(self.conv_2(x), training=training)
        shortcut = inputs
        if self.shortcut is not None and self.shortcut_norm is not None:
            shortcut = self.shortcut_norm(self.shortcut(inputs), training=training)
        return tf.nn.relu(x + tf.cast(shortcut, x.dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return self.conv_1.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = {"filters": self.filters, "strides": self.strides, "normalization": self.normalization}
        return {**super().get_config(), **config}
