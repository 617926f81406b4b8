"""A tile index as the inputs of the signature ``predict_pyramids``."""

from __future__ import annotations

import os

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
