"""A tile index as the inputs of the signature ``predict_pyramids``."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from tfvs.data.records import INDEX_FIELDS, TileIndex


def pyramid_inputs(path: str, index: TileIndex) -> dict[str, np.ndarray]:
    """Inputs of ``predict_pyramids`` for one image, all but the proxy."""

    inputs = {"path": np.array([os.fsencode(path)], object)}
    for field in INDEX_FIELDS:
        values = np.array(field.to_values(index), object if field.is_string else np.int64)
        inputs[field.name] = values[np.newaxis] if field.is_list else values
    return inputs


def without_unused_levels(
    index: TileIndex, min_scale: float, crop_size: int, max_level: int | None = None
) -> TileIndex:
    """The index less the levels finer than any crop needs: of a huge image nearly all of it.

    Crops are read from the coarsest level that has a pixel for every sample, so no level finer than the one that serves
    the smallest crop is ever looked at.

    Args:
      index: Index of the whole pyramid.
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
