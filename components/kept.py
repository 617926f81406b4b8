"""Images that are pyramids already: their tiles are copied, never encoded anew."""

from __future__ import annotations

import itertools

import pyvips

from components.damage import is_tiff
from components.options import PrepareOptions
from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images import reading
from tfvs.images.tiff.tile_index import read_index

# The coarsest level must be small, and none far from the next, or wide crops would have no level to be read from.
_COARSEST_PX = 256
_MAX_STEP = 4.5  # a quarter, the sizes rounded


def levels_to_keep(path: str, options: PrepareOptions) -> int:
    """How many levels a pyramid has that can be read in the graph as it is, and is what the options ask for; else 0.

    Its encoding may be another than the options': that is what keeping it means. Its pixels may not: colour, depth,
    orientation and size must be what conversion would give.

    Args:
      path: Of the image.
      options: Of the pyramid.
    """
    if not options.keep_pyramids or not is_tiff(path):
        return 0
    wanted = options.pyramid
    try:
        index = read_index(path)
        kept = (
            wanted.bands in (None, index.bands)
            and wanted.dtype in (None, index.dtype.removesuffix("_be"))
            and (options.max_side_px is None or max(index.width, index.height) <= options.max_side_px)
            and _has_every_level(index)
            and all(_is_plain(path, page, level[:2], options) for page, level in enumerate(index.levels))
        )
    except ImageError:  # converting says why, where it fails too
        return 0
    return len(index.levels) if kept else 0


def check_pixels(path: str, levels: int, options: PrepareOptions) -> None:
    """Decodes every level once, streaming, since copying tiles decodes none.

    Raises:
      pyvips.Error: A tile is damaged.
    """
    for page in range(levels):
        reading.open_image(path, page=page, max_pixels=options.max_pixels).avg()


def _has_every_level(index: TileIndex) -> bool:
    sides = [max(level[:2]) for level in index.levels]
    steps = [finer / coarser for finer, coarser in itertools.pairwise(sides)]
    return sides[-1] <= _COARSEST_PX and all(step <= _MAX_STEP for step in steps)


def _is_plain(path: str, page: int, size: tuple[int, ...], options: PrepareOptions) -> bool:
    """Whether a page is that level, and conversion would leave its pixels as they are."""
    image = reading.open_image(path, page=page, max_pixels=options.max_pixels)
    return (
        (image.width, image.height) == size
        and image.interpretation in ("srgb", "b-w", "rgb16", "grey16")
        and not image.hasalpha()
        and _upright(image)
        and (image.bands == 1 or not image.get_typeof("icc-profile-data"))
    )


def _upright(image: pyvips.Image) -> bool:
    return not image.get_typeof("orientation") or image.get("orientation") == 1
