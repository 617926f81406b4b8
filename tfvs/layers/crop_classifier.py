"""The class, from T crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.conv_block import ConvBlock
from tfvs.layers.dense_block import DenseBlock
from tfvs.layers.shapes import known

POOLINGS = ("max", "mean")
LOOK_POOLINGS = ("mean", "evidence", "seen")


@keras.saving.register_keras_serializable("tfvs")
class CropClassifier(keras.layers.Layer):
    """p(y | f_1 … f_T): one convolutional network for every crop, pooled over the crops, then a dense head.

    All T crops of a batch go through the network at once: locations never depend on crops.

    Args:
      num_classes: K, at least 2.
      filters: Channels of each convolution. The last of the default ones sees 33 pixels: all of a crop of 32.
      strides: Of each convolution. A first stride of 2 halves the time a step takes on a CPU.
      stem_kernel_size: Side of the first convolution's kernel, pixels; 3 for the others.
      crop_units: Features of a crop.
      head_units: Width of the head's hidden layer.
      pooling: Over a crop's feature map: ``"max"``, which learns from a thing anywhere in the crop after a fraction of
        the images, or ``"mean"``.
      normalization: Of the dense layer of a crop, see :class:`DenseBlock`.
      reads_state: Whether the recurrent state of each step stands beside its crop's features.

    Raises:
      ConfigError: Too few classes, or as many strides as there are not filters.
    """

    def __init__(
        self,
        num_classes: int,
        filters: Sequence[int] = (32, 64, 128, 128),
        strides: Sequence[int] = (2, 2, 2, 1),
        stem_kernel_size: int = 5,
        crop_units: int = 256,
        head_units: int = 256,
        pooling: str = "max",
        normalization: str = "layer",
        reads_state: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(num_classes >= 2, "num_classes is too small", expected="at least 2", received=num_classes)
        require(
            len(filters) == len(strides),
            "A convolution needs a number of filters and a stride each",
            expected=f"{len(filters)} strides",
            received=tuple(strides),
        )
        require(pooling in POOLINGS, "Unknown pooling", expected=POOLINGS, received=repr(pooling))
        self.pooling = pooling
        self.num_classes, self.filters, self.strides = num_classes, tuple(filters), tuple(strides)
        self.stem_kernel_size, self.crop_units, self.head_units = stem_kernel_size, crop_units, head_units
        self.normalization, self.reads_state = normalization, reads_state
        policy = self.dtype_policy
        self.blocks = [
            ConvBlock(f, strides=s, kernel_size=3 if i else stem_kernel_size, name=f"block_{i}", dtype=policy)
            for i, (f, s) in enumerate(zip(self.filters, self.strides, strict=True))
        ]
        self.crop_head = DenseBlock(crop_units, normalization, name="crop_head", dtype=policy)
        self.hidden = keras.layers.Dense(head_units, activation="relu", name="hidden", dtype=policy)
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype=policy)

    def build(
        self, crops_shape: tuple[int | None, ...], hidden_states_shape: tuple[int | None, ...] | None = None
    ) -> None:
        """Args: crops_shape: ``[B, T, S, S, C]``; hidden_states_shape: ``[B, T, D]``."""
        shape: tuple[int | None, ...] = (None, *crops_shape[2:])
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        width = known(shape[-1], "a crop's features")
        if self.reads_state:
            if hidden_states_shape is None:
                raise ValueError("CropClassifier(reads_state=True) is built with the shape of hidden_states as well.")
            width += known(hidden_states_shape[-1], "hidden_states")
        self.crop_head.build((None, width))
        self.hidden.build((None, self.crop_units))
        self.logits.build((None, self.head_units))

    def call(self, crops: tf.Tensor, hidden_states: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Logits.

        Args:
          crops: ``[B, T, S, S, C]`` float.
          hidden_states: ``[B, T, D]``, the state that each location came from; read only with ``reads_state``.
          training: Whether the model trains.

        Returns:
          ``[B, K]`` float32.
        """
        steps = crops.shape[1] or tf.shape(crops)[1]
        x = tf.reshape(crops, tf.concat([[-1], tf.shape(crops)[2:]], axis=0))  # [B·T, S, S, C]
        x = tf.ensure_shape(x, [None, *crops.shape[2:]])
        for block in self.blocks:
            x = block(x)
        pool = tf.reduce_max if self.pooling == "max" else tf.reduce_mean
        x = pool(x, axis=[1, 2])  # [B·T, F]
        if self.reads_state and hidden_states is not None:
            states = tf.reshape(hidden_states, [-1, hidden_states.shape[-1]])
            x = tf.concat([x, tf.cast(states, x.dtype)], axis=-1)
        x = self.crop_head(x, training=training)
        x = tf.reduce_mean(tf.reshape(x, [-1, steps, self.crop_units]), axis=1)  # [B, F]
        return tf.cast(self.logits(self.hidden(x)), tf.float32)

    def compute_output_shape(
        self, crops_shape: tuple[int | None, ...], hidden_states_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (crops_shape[0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = {
            "num_classes": self.num_classes,
            "filters": self.filters,
            "strides": self.strides,
            "stem_kernel_size": self.stem_kernel_size,
            "crop_units": self.crop_units,
            "head_units": self.head_units,
            "pooling": self.pooling,
            "normalization": self.normalization,
            "reads_state": self.reads_state,
        }
        return {**super().get_config(), **config}
