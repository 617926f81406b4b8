"""A tile index as the inputs of the signature ``predict_pyramids``."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from tfvs.data.example import TileIndex


def pyramid_inputs(path: str, index: TileIndex) -> dict[str, np.ndarray]:
    """Inputs of ``predict_pyramids`` for one image, all but the proxy."""

    def integers(*values: int) -> np.ndarray:
        return np.array(values, np.int64)

    def text(value: bytes) -> np.ndarray:
        return np.array([value], object)

    return {
        "path": text(os.fsencode(path)),
        "width": integers(index.width),
        "height": integers(index.height),
        "bands": integers(index.bands),
        "file_bytes": integers(index.file_bytes),
        "levels": integers(*(field for level in index.levels for field in level))[np.newaxis],
        "tile_offsets": integers(*index.tile_offsets)[np.newaxis],
        "tile_bytes": integers(*index.tile_bytes)[np.newaxis],
        "framed": integers(int(index.framed)),
        "compression": text(index.compression.encode()),
        "jpeg_tables": text(index.jpeg_tables),
        "dtype": text(index.dtype.encode()),
        "file_crc32": integers(index.file_crc32),
    }


def without_unused_levels(
    index: TileIndex, min_scale: float, crop_size: int, max_level: int | None = None
) -> TileIndex:
    """The index less the levels finer than any crop needs: of a huge image nearly all of it.

    Crops are read from the coarsest level that has a pixel for every sample, so no level finer than the one that serves
    the smallest crop is ever looked at.

    Args:
      index: Of the whole pyramid.
      min_scale: Smallest side of a crop as a fraction of the image's shorter side.
      crop_size: Side of a crop, samples.
      max_level: Coarsest level that crops are read from, counted from the finest, so that none may be left out; None:
        any.
    """
    if max_level is not None:
        return index
    smallest = 0.99 * min_scale * min(index.width, index.height)  # rounding must not cost a level that is needed
    sides = [(smallest / index.width * width, smallest / index.height * height) for width, height, *_ in index.levels]
    first = max(sum(max(side) >= crop_size for side in sides) - 1, 0)
    skipped = index.levels[first][4]
    if first == 0 or any(level[4] < skipped for level in index.levels[first:]):
        return index  # nothing to leave out, or the tiles are numbered in another order
    return replace(
        index,
        levels=[(*level[:4], level[4] - skipped) for level in index.levels[first:]],
        tile_offsets=index.tile_offsets[skipped:],
        tile_bytes=index.tile_bytes[skipped:],
    )
