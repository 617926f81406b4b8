"""What an image file is, and what preparing it would do to it."""

from __future__ import annotations

import os
from typing import Any

from tfvs.errors import ImageError
from tfvs.images.colour import FORMATS
from tfvs.images.tiff.tile_index import read_index
from tfvs.preparation.damage import is_tiff
from tfvs.preparation.kept import lacks_coarse_levels, pages_to_keep
from tfvs.preparation.opening import describe, open_source
from tfvs.preparation.options import PrepareOptions


def inspect_image(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts of an image, from its header; camera raw files alone are decoded.

    Args:
      path: Path of the file.

    Returns:
      ``width``, ``height`` (pixels, upright), ``bands``, ``format`` (libvips' name of the samples' type), ``colour``,
      ``micrometres_per_px`` (None where it is not told), ``levels`` (``[width, height, tile width, tile height]`` each;
      empty where it is no pyramid), ``compression``, ``tiles``, ``framed``, ``notes`` and ``would``: what preparing it
      would do.

    Raises:
      ImageError: It is refused.
      ResourceError: It takes a package that is not installed.
    """
    name, options = os.fspath(path), PrepareOptions()
    facts = describe(name, options)
    image = open_source(name, facts, options)
    index = None
    if is_tiff(name):
        try:
            index = read_index(name)
        except ImageError:  # no pyramid that the graph reads as it is
            index = None
    return {
        "kind": facts.kind,
        "width": image.width,
        "height": image.height,
        "bands": image.bands,
        "format": image.format,
        "colour": image.interpretation,
        "micrometres_per_px": facts.micrometres_per_px,
        "levels": [] if index is None else [list(level[:4]) for level in index.levels],
        "compression": None if index is None else index.compression,
        "tiles": None if index is None else len(index.tile_bytes),
        "framed": None if index is None else index.framed,
        "notes": list(facts.notes),
        "would": _would(name, facts.may_be_kept, options) + _lost_depth(image.format, options),
    }


def _would(path: str, may_be_kept: bool, options: PrepareOptions) -> str:
    if may_be_kept and pages_to_keep(path, options):
        if lacks_coarse_levels(read_index(path)):
            return "Its tiles are copied as they are, and the coarser levels that it lacks are added."
        return "Its tiles are copied as they are."
    tiles = f"{options.compression.upper()} tiles of {options.tile_size} px"
    return f"It is turned upright, brought to sRGB or grey and written as a pyramid of {tiles}."


def _lost_depth(samples: str, options: PrepareOptions) -> str:
    depth, kept = FORMATS.get(samples), options.pyramid.dtype
    if depth is None or kept in (None, depth):
        return ""
    return f" Its samples become {kept}; tfvs prepare --compression deflate keeps {depth}."
