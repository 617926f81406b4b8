"""Bringing pixels to upright sRGB or grey of 8 or 16 bits; other numbers by a scale that the caller states."""

from __future__ import annotations

from dataclasses import dataclass

import pyvips

from tfvs.config import Config, option, require
from tfvs.errors import ImageError, InputError

FORMATS = {"uchar": "uint8", "ushort": "uint16"}
DTYPES = tuple(FORMATS.values())
BANDS = (1, 2, 3, 4)
_TOP = {"uint8": 255, "uint16": 65535}
# Interpretations that libvips keeps in floats or signed numbers and knows how to bring to sRGB.
_COLOUR_SPACES = ("lab", "labs", "labq", "xyz", "lch")


@dataclass(frozen=True)
class Scale(Config):
    """How numbers become grey levels: low becomes black, high white, and what is beyond either is cut off."""

    low: float = option(help="The number that becomes 0.")
    high: float = option(help="The number that becomes 255, or 65 535 where samples have 16 bits.")
    nodata: float | None = option(
        None,
        "The number that means that nothing was measured, as NaN always does; without it, with a scale, what the file "
        "says.",
    )
    fill: int = option(0, "Grey level, of 255, that stands for no data.", at_least=0, at_most=255)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.low < self.high, "The scale is empty", expected="LOW below HIGH", received=(self.low, self.high))


def apply_scale(image: pyvips.Image, scale: Scale, dtype: str) -> pyvips.Image:
    """Numbers of any kind → grey levels.

    Args:
      image: Its samples as they are in the file; alpha is scaled like the rest.
      scale: See :class:`Scale`.
      dtype: ``"uint8"`` or ``"uint16"``.
    """
    top = _TOP[dtype]
    missing = image != image  # NaN alone differs from itself
    if scale.nodata is not None:
        missing = missing | (image == scale.nodata)
    factor = top / (scale.high - scale.low)
    levels = image.cast("double") * factor - scale.low * factor + 0.5
    cast = "uchar" if dtype == "uint8" else "ushort"
    levels = missing.ifthenelse(round(scale.fill * top / 255), levels.cast(cast)).cast(cast)
    return levels.copy(interpretation=interpretation_of(image.bands, dtype == "uint16"))


def normalize(image: pyvips.Image, *, bands: int | None = None, dtype: str | None = None) -> pyvips.Image:
    """Brings an image to upright sRGB or grey, without alpha, in uint8 or uint16.

    In this order: EXIF orientation is applied; an embedded ICC profile, CMYK, Lab and the like become sRGB (grey stays
    grey); palettes are already expanded by the loaders; alpha is flattened on white, unless two or four bands are asked
    for; samples are scaled by 257 or its inverse, rounded, where another dtype is asked for. Images that
    :func:`tfvs.images.reading.open_image` opens may be read once, from top to bottom, whatever their orientation.

    Args:
      image: Any image.
      bands: 1 (luminance), 2 (luminance and alpha), 3, 4 (RGB and alpha), or None: grey stays 1 band, all other
        colour becomes 3, a multiband image without colour interpretation keeps its bands.
      dtype: ``"uint8"``, ``"uint16"`` or None: as it is.

    Raises:
      InputError: Bands or dtype is none of these.
      ImageError: Samples are neither 8 nor 16 bits, or the bands cannot be had from this image.
    """
    if bands not in (None, *BANDS):
        raise InputError("bands is out of range", expected="1, 2, 3, 4 or None", received=bands)
    if dtype not in (None, *DTYPES):
        raise InputError("dtype is not known", expected="'uint8', 'uint16' or None", received=dtype)
    if image.format not in FORMATS and image.interpretation not in _COLOUR_SPACES:
        raise _unread(image)
    image = _to_srgb(image.autorot())
    if image.format not in FORMATS:
        raise _unread(image)
    image = _to_bands(image, bands)
    if dtype is not None and FORMATS[image.format] != dtype:
        deep = dtype == "uint16"
        interpretation = interpretation_of(image.bands, deep)
        multiband = image.interpretation == "multiband"
        image = (image * 257).cast("ushort") if deep else ((image + 128) / 257).cast("uchar")
        image = image.copy(interpretation="multiband" if multiband else interpretation)
    return image


def _unread(image: pyvips.Image) -> ImageError:
    return ImageError(
        "Samples of this kind are not read without a scale",
        expected="8 or 16 bits, unsigned",
        received=f"{image.format}, {image.bands} bands",
        mend="Say which numbers are black and white: --scale LOW:HIGH, scale=(low, high)",
    )


def _to_srgb(image: pyvips.Image) -> pyvips.Image:
    deep = image.format == "ushort"
    grey = image.interpretation in ("b-w", "grey16")
    multiband = image.interpretation == "multiband"
    if image.get_typeof("icc-profile-data") and image.format in FORMATS and not grey and not multiband:
        return image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
    if grey or image.interpretation in ("srgb", "rgb", "rgb16", "multiband"):
        return image
    return image.colourspace("rgb16" if deep else "srgb")


def _to_bands(image: pyvips.Image, bands: int | None) -> pyvips.Image:
    deep = image.format == "ushort"
    top = 65535 if deep else 255
    # libvips takes the last of 2 or 4 bands for alpha; in a multiband image it is not.
    transparent = image.hasalpha() and image.interpretation != "multiband"
    if transparent and bands not in (2, 4):
        image = image.flatten(background=[top] * (image.bands - 1), max_alpha=top).cast(image.format)
        transparent = False
    if bands not in (None, image.bands):
        alpha = image[image.bands - 1] if transparent else None
        colour = image[: image.bands - 1] if transparent else image
        if bands <= 2 and colour.bands == 3:
            colour = colour.copy(interpretation=interpretation_of(3, deep)).colourspace("grey16" if deep else "b-w")
        elif bands >= 3 and colour.bands == 1:
            colour = colour.bandjoin([colour, colour])
        image = colour if bands in (1, 3) else colour.bandjoin(top if alpha is None else alpha)
    if image.bands != (bands or image.bands) or not 1 <= image.bands <= 4:
        raise ImageError(
            "The image does not have these bands",
            expected=bands or "1 to 4",
            received=image.bands,
            mend="Choose bands of it: --channels 3,2,1, channels=(3, 2, 1)",
        )
    if image.interpretation == "multiband" and image.bands in (2, 4):
        return image  # whose last band is not to become alpha
    return image.copy(interpretation=interpretation_of(image.bands, deep))


def interpretation_of(bands: int, deep: bool) -> str:
    """What libvips calls grey or colour of 8 or 16 bits."""
    if bands in (1, 2):
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"
