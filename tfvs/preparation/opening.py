"""Chooses the library that opens a source file, and reads what the file says before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import pyvips

from tfvs.data.records import TileIndex
from tfvs.images import reading
from tfvs.images.tiff.choice import TiffChoice, choose
from tfvs.images.tiff.microns import micrometres_per_px
from tfvs.preparation import raw, slides
from tfvs.preparation.damage import is_tiff
from tfvs.preparation.options import PrepareOptions

FEW_BITS = "16-bit samples of which the upper 4 bits or more are empty: the image is almost black (--scale 0:4095)"
_FEW = 1 << 12
_NO_LIMIT = 1 << 62  # the pyramid is this project's own


@dataclass(frozen=True)
class Facts:
    """What a file says of itself.

    Attributes:
      kind: ``"raw"``, ``"slide"``, ``"tiff"`` or ``"image"``.
      tiff: What is read of it, where it is a TIFF that this project reads.
      notes: What is left out of it.
      micrometres_per_px: Micrometres per pixel of its finest level, where it tells.
      longest_px: Longer side of its finest level.
      deep: Whether its samples have 16 bits and no scale is asked for.
    """

    kind: str
    tiff: TiffChoice | None = None
    notes: tuple[str, ...] = ()
    micrometres_per_px: float | None = None
    longest_px: int = 0
    deep: bool = False

    @property
    def may_be_kept(self) -> bool:
        """Whether it may be a pyramid whose tiles are copied."""
        return self.tiff is not None


def describe(path: str, options: PrepareOptions) -> Facts:
    """What a file is, by its name and its directories.

    Raises:
      ImageError: Its directories are damaged, or hold no such page or band.
      ResourceError: It takes a package that is not installed.
    """
    if raw.is_raw(path):
        return Facts("raw")
    if slides.is_slide(path):
        told = slides.describe(path)
        return Facts("slide", None, told.notes, told.micrometres_per_px, told.longest_px)
    unscaled = options.scale is None
    if not is_tiff(path):
        deep = unscaled and reading.open_image(path, max_pixels=options.max_pixels).format == "ushort"
        return Facts("image", deep=deep)
    choice = choose(path, page=options.page, channels=options.channels)
    microns, longest_px = micrometres_per_px(path, choice)
    return Facts("tiff", choice, choice.notes, microns, longest_px, unscaled and choice.bits == 16)


def open_source(path: str, facts: Facts, options: PrepareOptions) -> pyvips.Image:
    """Opens a source file with the library that reads it, decoding nothing yet but camera raw files.

    Raises:
      ImageError: It is refused.
    """
    if facts.kind == "raw":
        return raw.open_raw(path, options.max_pixels)
    if facts.kind == "slide":
        return slides.open_slide(path, options.max_side_px)
    return reading.open_image(path, page=options.page, channels=options.channels, max_pixels=options.max_pixels)


def notes_on(pyramid: str, index: TileIndex, facts: Facts) -> tuple[str, ...]:
    """Notes on what only the pixels show: samples of few bits in 16.

    Args:
      pyramid: Path of the pyramid that was made.
      index: Index of the pyramid.
      facts: Facts of the source.
    """
    if not facts.deep:
        return ()
    limit = _FEW >> (8 if index.dtype == "uint8" else 0)
    small = reading.open_image(pyramid, page=max(len(index.levels) - 4, 0))
    if small.max() >= limit or reading.open_image(pyramid, max_pixels=_NO_LIMIT).max() >= limit:
        return ()
    return (FEW_BITS,)
