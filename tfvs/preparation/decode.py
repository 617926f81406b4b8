"""One image on this machine: its pyramid beside the others, and its proxy. Needs neither Beam nor TensorFlow."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyvips

from tfvs.data.records import TileIndex
from tfvs.errors import ImageError, ResourceError, TfvsError
from tfvs.images import proxy, reading
from tfvs.images.colour import apply_scale
from tfvs.images.tiff.choice import choose
from tfvs.images.tiff.completing import frame_completed
from tfvs.images.tiff.framing import frame
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index
from tfvs.preparation.damage import check_streams, is_tiff
from tfvs.preparation.kept import check_pixels, lacks_coarse_levels, pages_to_keep
from tfvs.preparation.opening import Facts, describe, notes_on, open_source
from tfvs.preparation.options import PrepareOptions

# With less space than this where a pyramid could not be written, the cause is the disk and not the image.
_LOW_DISK_BYTES = 1 << 20


@dataclass(frozen=True)
class Task:
    """What to decode; all paths are local.

    Attributes:
      path: The image file.
      proxy_path: Another image that serves as the proxy.
      pyramid: Where its pyramid lies or shall lie; one that is there and whole is used as it is.
      options: Options of pyramid and proxy.
      sha256: SHA-256 digest of the image file, from which the proxy's noise is drawn.
    """

    path: str
    proxy_path: str | None
    pyramid: str
    options: PrepareOptions
    sha256: str


@dataclass(frozen=True)
class Decoded:
    """What decoding gave.

    Attributes:
      index: Index of the pyramid.
      proxy: As PNG.
      notes: What was left out of the file, in words that files of one kind share.
      micrometres_per_px: Micrometres per pixel of the pyramid's finest level, where the file tells.
    """

    index: TileIndex
    proxy: bytes
    notes: tuple[str, ...] = ()
    micrometres_per_px: float | None = None


@dataclass(frozen=True)
class Refused:
    """Why an image was refused: at which stage (see :class:`tfvs.preparation.sources.Rejected`), and a sentence."""

    stage: str
    reason: str


def limit_libvips() -> None:
    """Turns libvips' cache off, since each file comes once, and gives it one thread, since each core has a worker."""
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)


def decode(task: Task) -> Decoded | Refused:
    """Writes the pyramid where it is not there yet, and makes the proxy.

    Raises:
      OSError: The pyramid cannot be written: whatever the image.
      ResourceError: The disk is full, or a package that the file takes is missing.
    """
    stage, options = "pyramid", task.options
    try:
        Path(task.pyramid).parent.mkdir(parents=True, exist_ok=True)
        facts = describe(task.path, options)
        index = _find(task.pyramid) or _write(task.path, task.pyramid, facts, options)
        notes = facts.notes + notes_on(task.pyramid, index, facts)
        micrometres = None
        if facts.micrometres_per_px is not None:
            micrometres = facts.micrometres_per_px * facts.longest_px / max(index.width, index.height)
        stage = "proxy"
        if task.proxy_path is None:
            pixels = proxy.proxy_from_pyramid(
                task.pyramid, index, options.proxy, seed=task.sha256, max_pixels=options.max_pixels
            )
        else:
            if is_tiff(task.proxy_path):
                check_streams(task.proxy_path, choose(task.proxy_path).pages)
            pixels = proxy.proxy_from_other_image(
                task.proxy_path, options.proxy, seed=task.sha256, max_pixels=options.max_pixels
            )
        return Decoded(index, proxy.encode_png(pixels), notes, micrometres)
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
    except TfvsError:
        raise
    except Exception as error:  # decoders in Python have errors of their own; none may stop the other images
        return Refused(stage, f"The image cannot be decoded: {type(error).__name__}: {error}"[:400])


def _find(path: str) -> TileIndex | None:
    """The index of a pyramid that is there and whole."""
    try:
        return read_index(path) if os.path.exists(path) else None
    except ImageError:
        return None


def _write(source: str, path: str, facts: Facts, options: PrepareOptions) -> TileIndex:
    pages = pages_to_keep(source, options) if facts.may_be_kept else []
    if facts.tiff is not None:
        check_streams(source, pages or facts.tiff.pages)
    if pages:
        check_pixels(source, pages, options)
        if lacks_coarse_levels(read_index(source)):
            return frame_completed(source, path)
        return frame(source, path, levels_only=True)
    image = open_source(source, facts, options)
    wanted = options.pyramid
    scale = options.levels_of(facts.tiff.nodata if facts.tiff else None)
    if scale is not None:
        image = apply_scale(image, scale, wanted.dtype or "uint16")
    if options.max_side_px is not None and max(image.width, image.height) > options.max_side_px:
        image = _reduced(reading.normalize(image, bands=wanted.bands, dtype=wanted.dtype), options.max_side_px)
    return write_pyramid(image, path, max_pixels=image.width * image.height, **wanted.to_dict())


def _reduced(image: pyvips.Image, side: int) -> pyvips.Image:
    """An image made smaller in its own depth, so that its longer side is as long as asked for."""
    scale = side / max(image.width, image.height)
    width, height = (max(1, round(length * scale)) for length in (image.width, image.height))
    return image.resize(width / image.width, vscale=height / image.height)


def _blame_disk(pyramid: str, error: Exception) -> None:
    folder = os.path.dirname(pyramid)
    if os.path.isdir(folder) and shutil.disk_usage(folder).free < _LOW_DISK_BYTES:
        raise ResourceError(
            "The disk is full", received=folder, mend="Free space, then start again: what is done is kept"
        ) from error
