"""One image on this machine: its pyramid beside the others, and its proxy. Needs neither Beam nor TensorFlow."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyvips

from components import raw
from components.damage import check_streams, is_tiff
from components.kept import check_pixels, levels_to_keep
from components.options import PrepareOptions
from tfvs.data.records import TileIndex
from tfvs.errors import ImageError, ResourceError
from tfvs.images import proxy, reading
from tfvs.images.tiff.framing import frame
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index

# Less than this free where a pyramid could not be written: the disk is to blame, not the image.
_LOW_DISK_BYTES = 1 << 20


@dataclass(frozen=True)
class Task:
    """What to decode; all paths are local.

    Attributes:
      path: The image file.
      proxy_path: Another image that serves as the proxy.
      pyramid: Where its pyramid lies or shall lie; one that is there and whole is used as it is.
      options: Of pyramid and proxy.
      sha256: Of the image file, what the proxy's noise is drawn from.
    """

    path: str
    proxy_path: str | None
    pyramid: str
    options: PrepareOptions
    sha256: str


@dataclass(frozen=True)
class Decoded:
    """What came of it: the pyramid's index, and the proxy as PNG."""

    index: TileIndex
    proxy: bytes


@dataclass(frozen=True)
class Refused:
    """Why nothing came of it: at which stage (see :class:`components.sources.Rejected`), and a sentence."""

    stage: str
    reason: str


def limit_libvips() -> None:
    """Has libvips remember nothing, since each file comes once, and use one thread, since each core has a worker."""
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)


def decode(task: Task) -> Decoded | Refused:
    """Writes the pyramid where it is not there yet, and makes the proxy.

    Raises:
      OSError: The pyramid cannot be written: no image's fault.
      ResourceError: The disk is full.
    """
    stage = "pyramid"
    try:
        index = _find(task.pyramid) or _write(task.path, task.pyramid, task.options)
        stage = "proxy"
        options = task.options
        if task.proxy_path is None:
            pixels = proxy.proxy_from_pyramid(
                task.pyramid, index, options.proxy, seed=task.sha256, max_pixels=options.max_pixels
            )
        else:
            if is_tiff(task.proxy_path):
                check_streams(task.proxy_path)
            pixels = proxy.proxy_from_other_image(
                task.proxy_path, options.proxy, seed=task.sha256, max_pixels=options.max_pixels
            )
        return Decoded(index, proxy.encode_png(pixels))
    except pyvips.Error as error:
        _blame_disk(task.pyramid, error)
        return Refused(stage, f"The image cannot be decoded: {reading.reason(error)}")
    except ImageError as error:
        _blame_disk(task.pyramid, error)
        return Refused(stage, str(error))
    except OSError as error:
        if stage == "pyramid":
            raise
        return Refused(stage, f"{type(error).__name__}: {error}")


def _find(path: str) -> TileIndex | None:
    """The index of a pyramid that is there and whole."""
    try:
        return read_index(path) if os.path.exists(path) else None
    except ImageError:
        return None


def _write(source: str, path: str, options: PrepareOptions) -> TileIndex:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    levels = levels_to_keep(source, options)
    if is_tiff(source) and not raw.is_raw(source):
        check_streams(source, pages=max(levels, 1))
    if levels:
        check_pixels(source, levels, options)
        return frame(source, path)
    image = raw.open_raw(source) if raw.is_raw(source) else reading.open_image(source, max_pixels=options.max_pixels)
    if options.max_side_px is not None and max(image.width, image.height) > options.max_side_px:
        side = options.max_side_px
        image = image.thumbnail_image(side, height=side, size="down", no_rotate=True)
    return write_pyramid(image, path, max_pixels=options.max_pixels, **options.pyramid.to_dict())


def _blame_disk(pyramid: str, error: Exception) -> None:
    folder = os.path.dirname(pyramid)
    if os.path.isdir(folder) and shutil.disk_usage(folder).free < _LOW_DISK_BYTES:
        raise ResourceError(
            "The disk is full", received=folder, mend="Free space, then start again: what is done is kept"
        ) from error
