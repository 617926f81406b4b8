"""Features of crops: one convolutional network for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.conv_block import ConvBlock
from tfvs.layers.shapes import known
from tfvs.ops.contrast import standardize
from tfvs.ops.pooling import POOLINGS, pool_map

CONTRAST = 0.5  # standard deviation of a crop that is standardised


@keras.saving.register_keras_serializable("tfvs")
class CropEncoder(keras.layers.Layer):
    """Crops → features: strided convolutions, pooled over the feature map.

    Any Keras layer or model that takes ``[N, S, S, C]`` in [0, 1] and gives ``[N, F]`` may stand in its place.

    Args:
      filters: Channels of each convolution. The last of the default ones sees 33 pixels: all of a crop of 32.
      strides: Strides of each convolution. A first stride of 2 halves the time a step takes on a CPU.
      stem_kernel_size: Side of the first convolution's kernel, pixels; 3 for the others.
      pooling: Over a crop's feature map: ``"max"``, which learns from a thing anywhere in the crop after a fraction of
        the images, ``"mean"``, or ``"mean_max"``, both side by side, which count and tell apart.
      normalization: Normalisation of the convolutions, see :class:`ConvBlock`.
      standardize: Whether each crop is brought to mean 0 and a common contrast first.

    Raises:
      ConfigError: Another number of strides than of filters, or an unknown pooling.
    """

    def __init__(
        self,
        filters: Sequence[int] = (32, 64, 128, 128),
        strides: Sequence[int] = (2, 2, 2, 1),
        stem_kernel_size: int = 5,
        pooling: str = "max",
        normalization: str = "group",
        standardize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(
            len(filters) == len(strides),
            "A convolution needs a number of filters and a stride each",
            expected=f"{len(filters)} strides",
            received=tuple(strides),
        )
        require(pooling in POOLINGS, "Unknown pooling", expected=tuple(POOLINGS), received=repr(pooling))
        self.filters, self.strides, self.stem_kernel_size = tuple(filters), tuple(strides), stem_kernel_size
        self.pooling, self.normalization, self.standardize = pooling, normalization, standardize
        self.blocks = [
            ConvBlock(
                f,
                strides=s,
                kernel_size=3 if i else stem_kernel_size,
                normalization=normalization,
                name=f"block_{i}",
                dtype=self.dtype_policy,
            )
            for i, (f, s) in enumerate(zip(self.filters, self.strides, strict=True))
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[N, S, S, C]``."""
        shape = tuple(input_shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def call(self, crops: tf.Tensor, training: bool = False) -> tf.Tensor:
        """``[N, S, S, C]`` float → ``[N, F]``."""
        x = crops
        if self.standardize:
            x = standardize(x, mean=0.0, stddev=CONTRAST)
        for block in self.blocks:
            x = block(x, training=training)
        return pool_map(x, self.pooling)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (input_shape[0], known(self.filters[-1], "a crop's features") * POOLINGS[self.pooling])

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        names = ("filters", "strides", "stem_kernel_size", "pooling", "normalization", "standardize")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
