"""φ_x of a large proxy: convolutions over the grid of cells that keep where things are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.conv_block import ConvBlock
from tfvs.layers.dense_block import DenseBlock
from tfvs.layers.shapes import known
from tfvs.ops.grid import cells_to_depth, depth_of

MAP_NORMALIZATIONS = ("none", "batch")
STEM_KERNEL = 3


@keras.saving.register_keras_serializable("tfvs")
class MapEncoder(keras.layers.Layer):
    """Feature maps of the proxy, joined on a grid of cells, under small convolutions.

    Each map comes onto the grid with all its pixels as channels (:func:`tfvs.ops.grid.cells_to_depth`); the proxy
    itself is one such map, those of a trained or pretrained network are others. The weights do not depend on the number
    of cells, only on each map's pixels per cell: what is learned on small proxies serves on larger ones.

    Args:
      cells: Rows and columns of the grid.
      filters: Channels of each convolution.
      kernels: Sides of their kernels, cells.
      stem_filters: Channels of convolutions of 3 × 3 pixels over the first map, in its own size, before it comes onto
        the grid: with them a cell knows what lies where in the cells beside it, as a map seen at another angle than the
        image needs. None by default.
      units: Features of the whole proxy, from the mean over the grid.
      normalization: Normalisation of the dense layer, see :class:`DenseBlock`.
      map_normalization: Normalisation of the convolutions: ``"none"`` or ``"batch"``.

    Raises:
      ConfigError: Another number of kernels than of filters, or an unknown normalization.
    """

    def __init__(
        self,
        cells: tuple[int, int],
        filters: Sequence[int] = (32, 32),
        kernels: Sequence[int] = (5, 1),
        units: int = 256,
        normalization: str = "layer",
        map_normalization: str = "none",
        stem_filters: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(
            len(filters) == len(kernels) >= 1,
            "The map's convolutions cannot be made",
            expected="as many kernels as filters, at least one",
            received=f"filters={tuple(filters)}, kernels={tuple(kernels)}",
        )
        require(
            map_normalization in MAP_NORMALIZATIONS,
            "Unknown map_normalization",
            expected=MAP_NORMALIZATIONS,
            received=repr(map_normalization),
        )
        self.cells = int(cells[0]), int(cells[1])
        self.map_normalization = map_normalization
        self.filters, self.kernels = tuple(filters), tuple(kernels)
        self.units, self.normalization = units, normalization
        self.stem_filters = tuple(stem_filters)
        policy = self.dtype_policy
        options: dict[str, Any] = {"normalization": map_normalization, "dtype": policy}
        self.stem = [
            ConvBlock(f, kernel_size=STEM_KERNEL, name=f"stem_{i}", **options) for i, f in enumerate(self.stem_filters)
        ]
        self.convolutions = [
            ConvBlock(f, kernel_size=k, name=f"conv_{i}", **options)
            for i, (f, k) in enumerate(zip(self.filters, self.kernels, strict=True))
        ]
        self.head = DenseBlock(units, normalization, name="head", dtype=policy)

    def build(self, maps_shape: Any) -> None:
        """Args: maps_shape: ``[B, h, w, c]`` of each map, all but ``B`` known."""
        channels, shapes = 0, _as_list(maps_shape)
        for block in self.stem:
            block.build(shapes[0])
            shapes[0] = block.compute_output_shape(shapes[0])
        for map_shape in shapes:
            height, width, depth = (known(size, "a map of the proxy") for size in map_shape[1:])
            down, across = depth_of((height, width), self.cells)
            channels += depth * down * across
        shape: tuple[int | None, ...] = (None, *self.cells, channels)
        for block in self.convolutions:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.map_shape = shape
        self.head.build((None, self.filters[-1]))

    def call(self, maps: Sequence[tf.Tensor], training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps ``[B, h, w, c]`` → features ``[B, units]`` and the map ``[B, rows, columns, filters[-1]]``."""
        first, *others = maps
        for block in self.stem:
            first = block(first, training=training)
        joined = [tf.cast(cells_to_depth(x, self.cells), self.compute_dtype) for x in (first, *others)]
        x = tf.concat(joined, axis=-1)
        for block in self.convolutions:
            x = block(x, training=training)
        return self.head(tf.reduce_mean(x, axis=[1, 2]), training=training), x

    def compute_output_shape(self, maps_shape: Any) -> tuple[tuple[int | None, ...], ...]:
        """Static shapes of the outputs."""
        batch = _as_list(maps_shape)[0][0]
        return (batch, self.units), (batch, *self.cells, self.filters[-1])

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        names = ("cells", "filters", "kernels", "units", "normalization", "map_normalization", "stem_filters")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _as_list(shapes: Any) -> list[tuple[int | None, ...]]:
    """A list of shapes: Keras passes the shape of a list with one element as that shape alone."""
    return [tuple(shapes)] if shapes[0] is None or isinstance(shapes[0], int) else [tuple(shape) for shape in shapes]
