"""Images that are pyramids already: their tiles are copied, never encoded anew."""

from __future__ import annotations

import itertools

import pyvips
import tifffile

from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images import reading
from tfvs.images.tiff.choice import page_number
from tfvs.images.tiff.tile_index import level_pages, read_index
from tfvs.preparation.damage import is_tiff
from tfvs.preparation.options import PrepareOptions

# The coarsest level must be small, and none far from the next, or wide crops would have no level to be read from.
_COARSEST_PX = 256
_MAX_STEP = 4.5  # a quarter, the sizes rounded
# From this size on coarse levels that are missing are added; smaller images are converted, which is as quick.
_LARGE_PIXELS = 100_000_000
_NO_LIMIT = 1 << 62  # pixels that are not decoded cost nothing


def pages_to_keep(path: str, options: PrepareOptions) -> list[int]:
    """The pages that are levels of a pyramid that can be read in the graph as it is and is what is asked for; or none.

    Its encoding may be another than the options': that is what keeping it means. Its pixels may not: colour, depth,
    orientation and size must be what conversion would give.

    Args:
      path: Path of the image.
      options: Options of the pyramid.
    """
    plain = options.page is None and options.channels is None and options.scale is None
    if not options.keep_pyramids or not plain or not is_tiff(path):
        return []
    wanted = options.pyramid
    try:
        index = read_index(path)
        with tifffile.TiffFile(path) as tiff:
            pages = [page_number(tiff, page) for page in level_pages(tiff, path)]
            native_order = tiff.byteorder == "<"
        kept = (
            min(pages) >= 0
            and wanted.bands in (None, index.bands)
            and wanted.dtype in (None, index.dtype.removesuffix("_be"))
            and (options.max_side_px is None or max(index.width, index.height) <= options.max_side_px)
            and (not lacks_coarse_levels(index) or (native_order and _can_be_completed(index)))
            and _has_small_steps(index)
            and all(
                _is_plain(path, page, level[:2], index.bands) for page, level in zip(pages, index.levels, strict=True)
            )
        )
    except ImageError:  # converting says why, where it fails too
        return []
    return pages if kept else []


def lacks_coarse_levels(index: TileIndex) -> bool:
    """Whether the coarsest level is too fine for wide crops."""
    return max(index.levels[-1][:2]) > _COARSEST_PX


def check_pixels(path: str, pages: list[int], options: PrepareOptions) -> None:
    """Decodes every level once, streaming, since copying tiles decodes none.

    Levels of more pixels than may be decoded whole are left out: their streams are followed to their ends elsewhere.

    Raises:
      pyvips.Error: A tile is damaged.
    """
    for page in pages:
        image = reading.open_image(path, page=page, max_pixels=_NO_LIMIT)
        if image.width * image.height <= options.max_pixels:
            image.avg()


def _can_be_completed(index: TileIndex) -> bool:
    """Whether coarser levels can be added in the pyramid's own encoding."""
    coarsest = index.levels[-1][0] * index.levels[-1][1]
    return index.width * index.height > _LARGE_PIXELS >= coarsest


def _has_small_steps(index: TileIndex) -> bool:
    sides = [max(level[:2]) for level in index.levels]
    return all(finer / coarser <= _MAX_STEP for finer, coarser in itertools.pairwise(sides))


def _is_plain(path: str, page: int, size: tuple[int, ...], bands: int) -> bool:
    """Whether a page is that level, and conversion would leave its pixels as they are."""
    image = reading.open_image(path, page=page, max_pixels=_NO_LIMIT)
    return (
        (image.width, image.height) == size
        and image.bands == bands
        and image.interpretation in ("srgb", "b-w", "rgb16", "grey16")
        and not image.hasalpha()
        and _upright(image)
        and (image.bands == 1 or not image.get_typeof("icc-profile-data"))
    )


def _upright(image: pyvips.Image) -> bool:
    return not image.get_typeof("orientation") or image.get("orientation") == 1
