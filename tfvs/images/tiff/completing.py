"""Framed copies of pyramids that end too early: the levels that are there are copied, the coarser ones are made."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pyvips
import tifffile

from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images import reading
from tfvs.images.tiff.choice import page_number
from tfvs.images.tiff.framing import frame
from tfvs.images.tiff.tile_index import level_pages, read_index

# libvips stores RGB from this quality on, and YCbCr below.
_RGB_QUALITY, _YCBCR_QUALITY = 90, 89
_RGB = 2


def frame_completed(source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> TileIndex:
    """Writes a framed copy of a pyramid's levels, with coarser ones down to one pixel.

    Only the coarsest level is decoded, whatever the image's size. The coarser levels are means over 2 × 2 pixels, in
    the encoding of the others.

    Args:
      source: A pyramid whose tiles can be read in the graph.
      destination: Where the framed file goes; it appears there whole or not at all.

    Returns:
      The index of the framed file.

    Raises:
      ImageError: The source cannot be read, or its coarsest level cannot be decoded.
    """
    index = read_index(source)
    with tifffile.TiffFile(source) as tiff:
        coarsest = level_pages(tiff, os.fspath(source))[-1]
        page, colour = page_number(tiff, coarsest), int(coarsest.photometric)
    image = reading.open_image(source, page=page)
    coarser = Path(destination).with_name(f".{uuid.uuid4().hex}.plain")
    try:
        image.tiffsave(
            str(coarser),
            tile=True,
            tile_width=coarsest.tilewidth,
            tile_height=coarsest.tilelength,
            pyramid=True,
            depth="onepixel",
            bigtiff=True,
            compression=index.compression.removesuffix("_predictor"),
            predictor="horizontal" if index.compression.endswith("_predictor") else "none",
            Q=_RGB_QUALITY if colour == _RGB else _YCBCR_QUALITY,
            keep="none",
        )
        return frame(source, destination, levels_only=True, coarser=coarser)
    except pyvips.Error as error:
        raise ImageError(
            "The coarsest level cannot be decoded", received=f"{source}: {reading.reason(error)}"
        ) from error
    finally:
        coarser.unlink(missing_ok=True)
