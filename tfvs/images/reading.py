"""Opening images that may be hostile: allow-listed loaders, sizes checked before pixels, errors instead of guesses.

The loader is chosen by the file's first bytes and called by name, so that no other libvips loader ever sees the data
and no option can be smuggled in through a file name.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyvips

from tfvs.errors import ImageError, InputError

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
ALLOWED = "JPEG, PNG, TIFF or WebP"
JPEG_SHRINKS = (1, 2, 4, 8)
FORMATS = {"uchar": "uint8", "ushort": "uint16"}


def open_image(
    source: str | os.PathLike[str] | bytes,
    *,
    root: str | os.PathLike[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    page: int = 0,
    shrink: int = 1,
    random_access: bool = False,
) -> pyvips.Image:
    """Opens an image without decoding it.

    Pixels are decoded where they are used; a damaged file raises ``pyvips.Error`` there. :func:`read_array` and
    :func:`tfvs.images.tiff.pyramid.write_pyramid` turn that into an ImageError.

    Args:
      source: Path, or the encoded bytes.
      root: If given, the path is taken relative to it and must lie under it, symbolic links resolved.
      max_pixels: Largest width times height, pixels.
      page: Page of a TIFF.
      shrink: Whole factor by which a JPEG is reduced while it is decoded, one of :data:`JPEG_SHRINKS`; others are not.
      random_access: Whether pixels will be read in any order rather than from top to bottom.

    Raises:
      ImageError: Not an allowed format, too large, empty, damaged, missing, or outside ``root``.
    """
    name = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
    if isinstance(source, bytes):
        path, head = None, source[:16]
    else:
        path = resolve_under(source, root)
        if not path.is_file():
            raise ImageError("There is no such image file", received=name, mend="Check the path")
        with open(path, "rb") as file:
            head = file.read(16)
    loader = _loader(head, name)
    options: dict[str, object] = {"fail_on": "error", "access": "random" if random_access else "sequential"}
    if loader == "tiffload":
        # Only then does a tile that cannot be decompressed count as an error; unknown tags never do.
        options |= {"page": page, "fail_on": "warning"}
    if loader == "jpegload":
        options["shrink"] = shrink
    try:
        if path is not None:
            # A source, since libvips remembers files opened by name: open, and as they were before they were replaced.
            image = getattr(pyvips.Image, f"{loader}_source")(pyvips.Source.new_from_file(str(path)), **options)
        else:
            image = getattr(pyvips.Image, f"{loader}_buffer")(source, **options)
    except pyvips.Error as error:
        raise ImageError("The image cannot be opened", received=f"{name}: {reason(error)}") from error
    check_size(image.width, image.height, max_pixels=max_pixels, name=name)
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


def normalize(image: pyvips.Image, *, bands: int | None = None, dtype: str | None = None) -> pyvips.Image:
    """Brings an image to upright sRGB or grey, without alpha, in uint8 or uint16.

    In this order: EXIF orientation is applied; an embedded ICC profile, CMYK, Lab and the like become sRGB (grey stays
    grey); palettes are already expanded by the loaders; alpha is flattened on white, unless two or four bands are asked
    for; samples are scaled by 257 or its inverse, rounded, where another dtype is asked for.

    Args:
      image: Any image.
      bands: 1 (luminance), 2 (luminance and alpha), 3, 4 (RGB and alpha), or None: grey stays 1 band, all other
        colour becomes 3, a multiband image without colour interpretation keeps its bands.
      dtype: ``"uint8"``, ``"uint16"`` or None: as it is.

    Raises:
      InputError: Bands or dtype is none of these.
      ImageError: Samples are neither 8 nor 16 bits, or the bands cannot be had from this image.
    """
    if bands not in (None, 1, 2, 3, 4):
        raise InputError("bands is out of range", expected="1, 2, 3, 4 or None", received=bands)
    if dtype not in (None, "uint8", "uint16"):
        raise InputError("dtype is not known", expected="'uint8', 'uint16' or None", received=dtype)
    image = _to_srgb(image.autorot())
    if image.format not in FORMATS:
        raise ImageError(
            "Samples of this kind are not read",
            expected="8 or 16 bits, unsigned",
            received=image.format,
            mend="Convert the image first, with a scale you choose",
        )
    image = _to_bands(image, bands)
    if dtype is not None and FORMATS[image.format] != dtype:
        deep = dtype == "uint16"
        interpretation = _interpretation(image.bands, deep)
        image = (image * 257).cast("ushort") if deep else ((image + 128) / 257).cast("uchar")
        image = image.copy(interpretation=interpretation)
    return image


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
    try:
        array = normalize(open_image(source, root=root, max_pixels=max_pixels)).numpy()
    except pyvips.Error as error:
        name = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
        raise ImageError("The image cannot be decoded", received=f"{name}: {reason(error)}") from error
    return array if array.ndim == 3 else array[..., None]


def _loader(head: bytes, name: str) -> str:
    for signature, loader in SIGNATURES:
        if head.startswith(signature):
            return loader
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webpload"
    raise ImageError("The file is no image of an allowed format", expected=ALLOWED, received=f"{head!r} in {name}")


def _to_srgb(image: pyvips.Image) -> pyvips.Image:
    deep = image.format == "ushort"
    grey = image.interpretation in ("b-w", "grey16")
    if image.get_typeof("icc-profile-data") and image.format in FORMATS and not grey:
        return image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
    if grey or image.interpretation in ("srgb", "rgb", "rgb16", "multiband"):
        return image
    return image.colourspace("rgb16" if deep else "srgb")


def _to_bands(image: pyvips.Image, bands: int | None) -> pyvips.Image:
    deep = image.format == "ushort"
    top = 65535 if deep else 255
    # libvips takes the last of 2 or 4 bands for alpha, which a multiband image that is left as it is does not.
    transparent = image.hasalpha() and (bands is not None or image.interpretation != "multiband")
    if transparent and bands not in (2, 4):
        image = image.flatten(background=[top] * (image.bands - 1), max_alpha=top).cast(image.format)
        transparent = False
    if bands not in (None, image.bands):
        alpha = image[image.bands - 1] if transparent else None
        colour = image[: image.bands - 1] if transparent else image
        if bands <= 2 and colour.bands == 3:
            colour = colour.copy(interpretation=_interpretation(3, deep)).colourspace("grey16" if deep else "b-w")
        elif bands >= 3 and colour.bands == 1:
            colour = colour.bandjoin([colour, colour])
        image = colour if bands in (1, 3) else colour.bandjoin(top if alpha is None else alpha)
    if image.bands != (bands or image.bands) or not 1 <= image.bands <= 4:
        raise ImageError("The image does not have these bands", expected=f"{bands} of 1 to 4", received=image.bands)
    return image.copy(interpretation=_interpretation(image.bands, deep))


def _interpretation(bands: int, deep: bool) -> str:
    if bands in (1, 2):
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"


def reason(error: pyvips.Error) -> str:
    """What libvips said, in one line."""
    detail = getattr(error, "detail", "") or getattr(error, "message", "")
    return " ".join(str(detail).split())[:300]
