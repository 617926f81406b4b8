"""Opening images that may be hostile: allow-listed loaders, sizes checked before pixels, errors instead of guesses.

The loader is chosen by the file's first bytes and called by name, so that no other libvips loader ever sees the data
and a file name cannot carry options for a loader. In a TIFF :mod:`tfvs.images.tiff.choice` chooses which image and
which bands are meant, and whether libvips or tifffile with imagecodecs decodes them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from tfvs.errors import ImageError
from tfvs.images import ppm
from tfvs.images.colour import FORMATS, interpretation_of, normalize
from tfvs.images.streamed import RowSource, take_failure
from tfvs.images.tiff.choice import TiffChoice, choose
from tfvs.images.tiff.parsing import name_of, parsing
from tfvs.images.tiff.rows import TiffRows

__all__ = [
    "ALLOWED",
    "FORMATS",
    "JPEG_SHRINKS",
    "MAX_PIXELS",
    "check_size",
    "normalize",
    "open_image",
    "read_array",
    "reason",
    "resolve_under",
]

# 60 000 x 60 000 in a 400-kB PNG is refused; raise it where images truly are larger.
MAX_PIXELS = 2_000_000_000

SIGNATURES = (
    (b"\xff\xd8\xff", "jpegload"),
    (b"\x89PNG\r\n\x1a\n", "pngload"),
    (b"II*\0", "tiffload"),
    (b"MM\0*", "tiffload"),
    (b"II+\0", "tiffload"),
    (b"MM\0+", "tiffload"),
)
ALLOWED = "JPEG, PNG, TIFF, WebP or binary PPM"
JPEG_SHRINKS = (1, 2, 4, 8)


def open_image(
    source: str | os.PathLike[str] | bytes,
    *,
    root: str | os.PathLike[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    page: int | None = None,
    channels: tuple[int, ...] | None = None,
    shrink: int = 1,
    random_access: bool = False,
) -> pyvips.Image:
    """Opens an image without decoding it.

    Pixels are decoded where they are used; a damaged file raises ``pyvips.Error`` there. :func:`read_array` and
    :func:`tfvs.images.tiff.pyramid.write_pyramid` turn that into an ImageError. An image that is to be turned upright
    by a quarter or a half is decoded into memory first or, where it has more than 100 MB, into a temporary file.

    Args:
      source: Path, or the encoded bytes.
      root: If given, the path is taken relative to it and must lie under it, symbolic links resolved.
      max_pixels: Largest width times height, pixels.
      page: Directory of a TIFF, from 0, or -1 - n for SubIFD n of the first; None: the largest image that is no reduced
        copy.
      channels: Bands to take of a TIFF, from 1, in their order; None: colour or grey, and alpha.
      shrink: Whole factor by which a JPEG is reduced while it is decoded, one of :data:`JPEG_SHRINKS`; others are not.
      random_access: Whether pixels will be read in any order rather than from top to bottom.

    Raises:
      ImageError: Not an allowed format, too large, empty, damaged, missing, or outside ``root``; no such page or band.
    """
    name = name_of(source)
    if not isinstance(source, bytes):
        source = resolve_under(source, root)
        if not source.is_file():
            raise ImageError("There is no such image file", received=name, mend="Check the path")
    head = _head(source)
    loader = None if head.startswith(ppm.SIGNATURES) else _loader(head, name)
    options: dict[str, Any] = {"fail_on": "error", "access": "random" if random_access else "sequential"}
    if loader == "jpegload":
        options["shrink"] = shrink
    try:
        if loader == "tiffload":
            image = _open_tiff(source, choose(source, page=page, channels=channels), options, max_pixels, name)
        elif channels is not None or page:
            raise ImageError("Only TIFFs have pages and bands to choose", received=name)
        elif loader is None:
            rows = ppm.PpmRows(source, name)
            check_size(rows.width, rows.height, max_pixels=max_pixels, name=name)
            image = RowSource(rows).open(random_access=random_access)
        else:
            image = _load(loader, source, options)
            if _is_turned(image) and not random_access:
                image = _load(loader, source, options | {"access": "random"})
    except pyvips.Error as error:
        raise ImageError("The image cannot be opened", received=f"{name}: {reason(error)}") from error
    check_size(image.width, image.height, max_pixels=max_pixels, name=name)
    return image


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:16]
    with open(source, "rb") as file:
        return file.read(16)


def _load(loader: str, source: Path | bytes, options: dict[str, Any]) -> pyvips.Image:
    if isinstance(source, bytes):
        return getattr(pyvips.Image, f"{loader}_buffer")(source, **options)
    # A source, since libvips remembers files opened by name: open, and as they were before they were replaced.
    return getattr(pyvips.Image, f"{loader}_source")(pyvips.Source.new_from_file(str(source)), **options)


def _is_turned(image: pyvips.Image) -> bool:
    """Whether rows of the upright image are no rows of the file, or come in another order."""
    return bool(image.get_typeof("orientation")) and image.get("orientation") > 2


def _open_tiff(
    source: Path | bytes, choice: TiffChoice, options: dict[str, Any], max_pixels: int, name: str
) -> pyvips.Image:
    image = _open_native(source, choice, options) if choice.native else None
    if image is None:
        rows = _rows(source, choice, name)
        check_size(rows.width, rows.height, max_pixels=max_pixels, name=name)
        orientation, profile = rows.metadata()
        turned = orientation > 2
        image = RowSource(rows).open(random_access=turned or options["access"] == "random").copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
        if profile:
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return _with_bands(image, choice)


def _rows(source: Path | bytes, choice: TiffChoice, name: str) -> TiffRows:
    with parsing(name):
        return TiffRows(source, choice)


def _open_native(source: Path | bytes, choice: TiffChoice, options: dict[str, Any]) -> pyvips.Image | None:
    """Opens a TIFF by libvips; None where libtiff warns of the directory, which other readers accept.

    libvips can only fail where libtiff warns, or take tiles that cannot be decompressed for zeros.
    """
    number = choice.pages[0]
    options = {**options, "page": max(number, 0)} | ({"subifd": -1 - number} if number < 0 else {})
    with _warnings() as told:
        image = _load("tiffload", source, options)
    if told:
        return None
    if _is_turned(image):
        options["access"] = "random"
    return _load("tiffload", source, options | {"fail_on": "warning"})


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects what libvips logs in this thread."""
    told: list[str] = []
    here = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == here:
                told.append(record.getMessage())

    logger, listener = logging.getLogger("pyvips"), Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield told
    finally:
        logger.removeHandler(listener)


def _with_bands(image: pyvips.Image, choice: TiffChoice) -> pyvips.Image:
    """The bands to read, with an interpretation that tells alpha from other bands."""
    profile = not choice.chosen
    if choice.channels is not None:
        picked = [image[band] for band in choice.channels]
        image = picked[0].bandjoin(picked[1:]) if len(picked) > 1 else picked[0]
    if image.format not in FORMATS:
        return image
    deep = image.format == "ushort"
    if choice.alpha == "premultiplied":
        top = 65535 if deep else 255
        image = image.unpremultiply(max_alpha=top).cast(image.format)
        image = image.copy(interpretation=interpretation_of(image.bands, deep))
    elif not choice.alpha and (choice.chosen or image.bands != choice.colour):
        interpretation = interpretation_of(image.bands, deep) if image.bands in (1, 3) else "multiband"
        image = image.copy(interpretation=interpretation)
    if not profile and image.get_typeof("icc-profile-data"):
        image = image.copy()
        image.remove("icc-profile-data")
    return image


def resolve_under(path: str | os.PathLike[str], root: str | os.PathLike[str] | None) -> Path:
    """The real path, which must lie under the root where one is given.

    Raises:
      ImageError: It lies elsewhere, also by way of ``..`` or a symbolic link.
    """
    if "\0" in str(path):
        raise ImageError("A path cannot hold a NUL byte", received=repr(str(path)))
    if root is None:
        return Path(path)
    base = Path(root).resolve()
    real = (base / path).resolve()
    if not real.is_relative_to(base):
        raise ImageError("The path lies outside the allowed root", expected=f"a path under {base}", received=str(path))
    return real


def check_size(width: int, height: int, *, max_pixels: int, name: str) -> None:
    """Refuses empty images and those with more pixels than allowed.

    Raises:
      ImageError: See above.
    """
    if width < 1 or height < 1:
        raise ImageError("The image is empty", received=f"{width} x {height} pixels in {name}")
    if width * height > max_pixels:
        raise ImageError(
            "The image claims more pixels than allowed",
            expected=f"at most {max_pixels}",
            received=f"{width} x {height} in {name}",
            mend="Raise max_pixels if the image truly is that large",
        )


def read_array(
    source: str | os.PathLike[str] | bytes,
    *,
    root: str | os.PathLike[str] | None = None,
    max_pixels: int = 100_000_000,
) -> np.ndarray:
    """A whole small image as ``[H, W, C]`` uint8 or uint16 NumPy array, as :func:`open_image` reads it.

    Raises:
      ImageError: It cannot be opened or decoded.
    """
    with decoding(name_of(source)):
        array = normalize(open_image(source, root=root, max_pixels=max_pixels)).numpy()
    return array if array.ndim == 3 else array[..., None]


@contextlib.contextmanager
def decoding(name: str = "") -> Iterator[None]:
    """Turns libvips' error within the block into an ImageError.

    Args:
      name: What the error calls the image; empty where it has no name.

    Raises:
      ImageError: libvips cannot decode the pixels.
    """
    try:
        yield
    except pyvips.Error as error:
        received = f"{name}: {reason(error)}" if name else reason(error)
        raise ImageError("The image cannot be decoded", received=received) from error


def _loader(head: bytes, name: str) -> str:
    for signature, loader in SIGNATURES:
        if head.startswith(signature):
            return loader
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webpload"
    raise ImageError("The file is no image of an allowed format", expected=ALLOWED, received=f"{head!r} in {name}")


def reason(error: pyvips.Error) -> str:
    """What libvips said, or what stopped the library that decodes for it, in one line."""
    cause = take_failure()
    detail = str(cause) if cause is not None else getattr(error, "detail", "") or getattr(error, "message", "")
    return " ".join(str(detail).split())[:300]
