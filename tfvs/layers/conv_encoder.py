"""φ_x: the proxy as a feature vector, and as a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.conv_block import ConvBlock
from tfvs.layers.dense_block import DenseBlock
from tfvs.layers.shapes import CHANNELS_LAST

MAX_MAP_SIDE = 16


@keras.saving.register_keras_serializable("tfvs")
class ConvEncoder(keras.layers.Layer):
    """Strided convolutions, then a dense layer over *where* things are: φ_x(x̂) of eq. 10.

    The feature map is flattened, not pooled: the posterior must tell places apart. Strides come early: attention reads
    the map before the last convolution, and there a feature should have seen a whole thing, not an edge of it.

    Large proxies: as many further convolutions of stride 2 and ``filters[0]`` channels come first as make the flattened
    map at most 16 × 16, so that parameters and time do not grow with the square of the proxy's side.

    Args:
      filters: Channels of each convolution, at least two.
      strides: Strides of each convolution.
      units: Features that come out.
      normalization: Normalisation of the dense layer, see :class:`DenseBlock`.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 32),
        strides: Sequence[int] = (2, 1, 2),
        units: int = 256,
        normalization: str = "layer",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(
            len(filters) == len(strides) >= 2,
            "The encoder's convolutions cannot be made",
            expected="as many strides as filters, at least two",
            received=f"filters={tuple(filters)}, strides={tuple(strides)}",
        )
        self.filters, self.strides = tuple(filters), tuple(strides)
        self.units, self.normalization = units, normalization
        policy = self.dtype_policy
        self.stem: list[ConvBlock] = []
        self.blocks = [
            ConvBlock(f, strides=s, name=f"block_{i}", dtype=policy)
            for i, (f, s) in enumerate(zip(self.filters, self.strides, strict=True))
        ]
        self.flatten = keras.layers.Flatten(CHANNELS_LAST, name="flatten", dtype=policy)
        self.head = DenseBlock(units, normalization, name="head", dtype=policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[B, h, w, c]``, all but ``B`` known."""
        shape = tuple(input_shape)
        side = math.ceil(max(side or 1 for side in shape[1:3]) / math.prod(self.strides))
        halvings = max(math.ceil(math.log2(side / MAX_MAP_SIDE)), 0)
        self.stem = [
            ConvBlock(self.filters[0], strides=2, name=f"stem_{i}", dtype=self.dtype_policy) for i in range(halvings)
        ]
        for block in [*self.stem, *self.blocks]:
            self.map_shape = shape
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.flatten.build(shape)
        self.head.build(self.flatten.compute_output_shape(shape))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """``[B, h, w, c]`` → features ``[B, units]`` and the map before the last convolution, ``[B, h', w', F]``."""
        x = feature_map = inputs
        for block in [*self.stem, *self.blocks]:
            feature_map = x
            x = block(x, training=training)
        return self.head(self.flatten(x), training=training), feature_map

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        """Static shapes of the outputs."""
        map_shape = tuple(input_shape)
        for block in [*self.stem, *self.blocks[:-1]]:
            map_shape = block.compute_output_shape(map_shape)
        return (input_shape[0], self.units), map_shape

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = {
            "filters": self.filters,
            "strides": self.strides,
            "units": self.units,
            "normalization": self.normalization,
        }
        return {**super().get_config(), **config}
