"""Whole slides of microscopes through OpenSlide: ``pip install tfvs[slides]``. The whole slide is never in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyvips

from tfvs.errors import ImageError, ResourceError
from tfvs.images.streamed import RowSource

if TYPE_CHECKING:
    import openslide

# Formats that only OpenSlide reads; Aperio's SVS and others are TIFFs, and read as such.
SUFFIXES = (".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".dcm", ".svslide", ".czi")
# Rows and columns decoded at once: tiles are seldom larger, and a band of 100 000 columns has 77 MB.
_BAND_ROWS, _BLOCK_COLUMNS = 256, 4096
# What OpenSlide keeps decoded; a block needs its own tiles only.
_CACHE_BYTES = 64 << 20
LEFT_OUT_IMAGES = "labels and macro images of a slide are left out"


@dataclass(frozen=True)
class SlideFacts:
    """What a slide says of itself.

    Attributes:
      notes: What is left out of it.
      micrometres_per_px: Micrometres per pixel of its finest level, where it tells.
      longest_px: Longer side of its finest level.
    """

    notes: tuple[str, ...]
    micrometres_per_px: float | None
    longest_px: int


def is_slide(path: str) -> bool:
    """Whether a file is a slide that OpenSlide is to read, by its name."""
    return path.lower().endswith(SUFFIXES)


def describe(path: str) -> SlideFacts:
    """Reads a slide's properties.

    Raises:
      ImageError: It cannot be opened.
      ResourceError: OpenSlide is not installed.
    """
    with _open(path) as slide:
        text = slide.properties.get("openslide.mpp-x")
        try:
            microns = float(text) if text else None
        except ValueError:
            microns = None
        notes = (LEFT_OUT_IMAGES,) if len(slide.associated_images) else ()
        return SlideFacts(notes, microns, max(slide.dimensions))


def open_slide(path: str, max_side_px: int | None = None) -> pyvips.Image:
    """A slide as RGB on white, decoded band by band while it is read.

    Args:
      path: Path of the slide; what belongs to it lies beside it.
      max_side_px: Longer side that is enough: the coarsest level that has it is read.

    Raises:
      ImageError: It cannot be opened.
      ResourceError: OpenSlide is not installed.
    """
    slide = _open(path)
    level = 0
    for number, size in enumerate(slide.level_dimensions):
        if max_side_px is not None and max(size) >= max_side_px:
            level = number
    return RowSource(_SlideRows(slide, level, path)).open()


def _open(path: str) -> openslide.OpenSlide:
    library: Any
    try:
        import openslide as library
    except (ImportError, OSError) as error:
        raise ResourceError(
            "Slides need OpenSlide, which is not installed", received=path, mend="pip install 'tfvs[slides]'"
        ) from error
    try:
        slide = library.OpenSlide(path)
        slide.set_cache(library.OpenSlideCache(_CACHE_BYTES))
    except library.OpenSlideError as error:
        raise ImageError("The slide cannot be opened", received=f"{path}: {error}"[:400]) from error
    return slide


class _SlideRows:
    """Rows of a level; the last band is kept."""

    def __init__(self, slide: openslide.OpenSlide, level: int, path: str) -> None:
        self._slide, self._level, self._path = slide, level, path
        self.width, self.height = slide.level_dimensions[level]
        self.bands, self.dtype, self.alpha = 3, np.dtype(np.uint8), False
        self._number, self._band = -1, np.zeros([0, self.width, 3], np.uint8)

    def read(self, first: int, stop: int) -> np.ndarray:
        """Rows as ``[rows, width, 3]`` uint8."""
        pieces = []
        while first < stop:
            number, skipped = divmod(first, _BAND_ROWS)
            last = min(stop, (number + 1) * _BAND_ROWS)
            pieces.append(self._read_band(number)[skipped : last - number * _BAND_ROWS])
            first = last
        return np.concatenate(pieces)

    def _read_band(self, number: int) -> np.ndarray:
        if number != self._number:
            top = number * _BAND_ROWS
            rows = min(_BAND_ROWS, self.height - top)
            band = np.empty([rows, self.width, 3], np.uint8)
            for left in range(0, self.width, _BLOCK_COLUMNS):
                columns = min(_BLOCK_COLUMNS, self.width - left)
                band[:, left : left + columns] = self._read_block(left, top, columns, rows)
            self._number, self._band = number, band
        return self._band

    def _read_block(self, left: int, top: int, columns: int, rows: int) -> np.ndarray:
        step = self._slide.level_downsamples[self._level]
        place = (round(left * step), round(top * step))
        try:
            pixels = np.asarray(self._slide.read_region(place, self._level, (columns, rows)))
        except Exception as error:  # OpenSlide's own, of many kinds
            raise ImageError("The slide is damaged", received=f"{self._path}: {error}"[:400]) from error
        colour, alpha = pixels[..., :3], pixels[..., 3:]
        if alpha.min(initial=255) == 255:
            return colour
        opaque = alpha.astype(np.uint16)  # what the scanner left out is white
        return ((colour * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)
