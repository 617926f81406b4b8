"""The levels of a pyramid as libvips images, wherever in the file their directories lie."""

from __future__ import annotations

import os

import pyvips
import tifffile

from tfvs.data.records import TileIndex
from tfvs.images import reading
from tfvs.images.tiff.choice import page_number
from tfvs.images.tiff.tile_index import level_pages


def level_numbers(path: str | os.PathLike[str]) -> list[int]:
    """The directories that are levels, finest first, numbered as :func:`tfvs.images.reading.open_image` takes them.

    Raises:
      ImageError: The file is no pyramid.
    """
    with tifffile.TiffFile(path) as tiff:
        return [page_number(tiff, page) for page in level_pages(tiff, os.fspath(path))]


def open_level(
    path: str | os.PathLike[str], index: TileIndex, level: int, *, max_pixels: int = reading.MAX_PIXELS
) -> pyvips.Image:
    """Opens one level of a pyramid, to be read from top to bottom.

    Args:
      path: Path of the pyramid.
      index: Its tile index.
      level: From 0, the finest.
      max_pixels: Largest width times height, pixels.

    Raises:
      ImageError: The file is no pyramid, or the level cannot be opened.
    """
    if index.framed and index.bands in (1, 3) and all(_tiles(index, level)):
        image = _page(path, level)  # most likely written here, where levels are pages
        if image is not None and (image.width, image.height) == tuple(index.levels[level][:2]):
            reading.check_size(image.width, image.height, max_pixels=max_pixels, name=os.fspath(path))
            return image
    return reading.open_image(path, page=level_numbers(path)[level], max_pixels=max_pixels)


def _page(path: str | os.PathLike[str], number: int) -> pyvips.Image | None:
    try:
        source = pyvips.Source.new_from_file(os.fspath(path))
        return pyvips.Image.tiffload_source(source, page=number, fail_on="warning", access="sequential")
    except pyvips.Error:  # there is no such page
        return None


def _tiles(index: TileIndex, level: int) -> list[int]:
    """Bytes of a level's tiles; a sparse file leaves some out, which libvips does not read."""
    width, height, tile_width, tile_height, first = index.levels[level]
    return list(index.tile_bytes[first : first + -(-width // tile_width) * -(-height // tile_height)])
