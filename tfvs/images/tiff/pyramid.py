"""Writing framed pyramid TIFFs with libvips, streaming: memory does not grow with the image."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips

from tfvs.config import Config, option, require
from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images import reading
from tfvs.images.colour import BANDS, DTYPES
from tfvs.images.tiff.framing import frame_own
from tfvs.images.tiff.tile_index import MAX_TILE_SIDE


@dataclass(frozen=True)
class PyramidOptions(Config):
    """How pyramids are written."""

    tile_size: int = option(
        256, f"Side of a tile, pixels: a multiple of 16 up to {MAX_TILE_SIDE}.", at_least=16, at_most=MAX_TILE_SIDE
    )
    compression: str = option(
        "jpeg", "Compression of the tiles; JPEG holds 8 bits and 1 or 3 bands.", choices=("jpeg", "deflate", "none")
    )
    quality: int = option(
        90, "JPEG quality; 90 and above stores RGB without chroma subsampling.", at_least=1, at_most=100
    )
    predictor: bool = option(
        False, "Whether deflate is preceded by horizontal differencing: smaller for photographs, slower to read."
    )
    subifd: bool = option(False, "Whether levels are SubIFDs of page 0 rather than pages.")
    bands: int | None = option(
        None, "Bands of the pyramids, 1 to 4; without it grey and colour stay as they are.", choices=BANDS
    )
    dtype: str | None = option(
        None, "Dtype of the pyramids' samples; without it they keep their depth.", choices=DTYPES
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.tile_size % 16 == 0,
            "The tile size cannot be used",
            expected=f"a multiple of 16 from 16 to {MAX_TILE_SIDE}",
            received=self.tile_size,
        )


def write_pyramid(
    image: pyvips.Image | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    max_pixels: int = reading.MAX_PIXELS,
    progress: Callable[[float], None] | None = None,
    **fields: Any,
) -> TileIndex:
    """Writes an image as a framed pyramid TIFF.

    Orientation, colour, alpha and depth are brought to what :func:`tfvs.images.reading.normalize` states. The file
    appears under its name whole or not at all.

    Args:
      image: A path (opened with :func:`tfvs.images.reading.open_image`) or a libvips image.
      destination: Path of the pyramid.
      max_pixels: Largest width times height, pixels.
      progress: Called with a fraction from 0 to 1.
      **fields: Fields of :class:`PyramidOptions`.

    Returns:
      The pyramid's tile index.

    Raises:
      ConfigError: An unknown field, or a value that is out of range.
      ImageError: The image is refused or damaged, or its depth or bands do not go with JPEG.
    """
    options = PyramidOptions.from_dict(fields)
    name = "the image" if isinstance(image, pyvips.Image) else str(image)
    if not isinstance(image, pyvips.Image):
        image = reading.open_image(image, max_pixels=max_pixels)
    reading.check_size(image.width, image.height, max_pixels=max_pixels, name=name)
    destination = Path(destination)
    unique = uuid.uuid4().hex
    plain = destination.with_name(f".{unique}.plain")
    framed = destination.with_name(f".{unique}.part")
    try:
        with reading.decoding(name):
            _save(reading.normalize(image, bands=options.bands, dtype=options.dtype), plain, options, progress)
        index = frame_own(plain, framed, progress=None if progress is None else lambda done: progress(0.8 + 0.2 * done))
        os.replace(framed, destination)
    finally:
        plain.unlink(missing_ok=True)
        framed.unlink(missing_ok=True)
    return index


def _save(image: pyvips.Image, path: Path, options: PyramidOptions, progress: Callable[[float], None] | None) -> None:
    if options.compression == "jpeg" and (image.format != "uchar" or image.bands not in (1, 3)):
        raise ImageError(
            "JPEG tiles hold 8 bits and 1 or 3 bands",
            received=f"{reading.FORMATS[image.format]}, {image.bands} bands",
            mend="Choose compression='deflate', or convert with dtype='uint8' and bands=3",
        )
    if progress is not None:
        image.set_progress(True)
        image.signal_connect("eval", lambda _, state: progress(0.8 * min(state.percent, 100) / 100))
    image.tiffsave(
        str(path),
        tile=True,
        tile_width=options.tile_size,
        tile_height=options.tile_size,
        pyramid=True,
        depth="onepixel",
        subifd=options.subifd,
        bigtiff=True,
        compression=options.compression,
        Q=options.quality,
        predictor="horizontal" if options.predictor else "none",
        keep="none",
    )
