"""JPEG, PNG and WebP, in every orientation; formats that are not read."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image

from tests.corpus.case import Case, on_white, ramp, turned
from tests.images.pyramids import png


def _pillow(pixels: np.ndarray, **options: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(pixels.squeeze()).save(path, **options)


def _vips(pixels: np.ndarray, **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        deep = pixels.dtype == np.uint16
        grey = pixels.shape[2] < 3
        kind = ("grey16" if deep else "b-w") if grey else ("rgb16" if deep else "srgb")
        image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(interpretation=kind)
        image.write_to_file(str(path), **options)

    return write


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


def _cut(write: Callable[[Path], Any], share: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        write(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return cut


def photographs() -> Iterator[Case]:
    """Ordinary photographs."""
    colour, grey, deep = ramp(), ramp(1), ramp(3, "uint16")
    alpha = ramp(4)
    for orientation in range(1, 9):
        upright = turned(colour, orientation)
        tags = {"exif": _exif(orientation)}
        yield Case(f"turned{orientation}.jpg", _pillow(colour, quality=97, subsampling=0, **tags), upright, tolerance=4)
        yield Case(f"turned{orientation}.png", _pillow(colour, **tags), upright)
        yield Case(f"turned{orientation}.webp", _pillow(colour, lossless=True, **tags), upright)
    for name, options in (
        ("420.jpg", {"subsampling": 2}),
        ("progressive.jpg", {"progressive": True, "subsampling": 0}),
        ("restarts.jpg", {"restart_marker_rows": 1, "subsampling": 0}),
    ):
        yield Case(name, _pillow(colour, quality=97, **options), colour, tolerance=8)
    yield Case("grey.jpg", _pillow(grey, quality=97), grey, tolerance=3)
    yield Case("a jpeg.png", _pillow(colour, format="JPEG", quality=97, subsampling=0), colour, tolerance=4)
    yield Case("grey.png", _pillow(grey), grey)
    yield Case("grey16.png", _vips(ramp(1, "uint16")), ramp(1, "uint16"))
    yield Case("deep.png", _vips(deep), deep)
    yield Case("interlaced.png", _vips(colour, interlace=True), colour)
    yield Case("alpha.png", _pillow(alpha), on_white(alpha), tolerance=1)
    yield Case("grey alpha.png", _vips(alpha[..., 2:4]), on_white(alpha[..., 2:4]), tolerance=1)
    yield Case("alpha16.png", _vips(ramp(4, "uint16")), on_white(ramp(4, "uint16")), tolerance=2)
    yield Case("palette.png", _palette, _palette_pixels())
    yield Case("bilevel.png", lambda path: Image.fromarray(grey[..., 0] > 100).save(path), _bilevel(grey))
    yield Case("alpha.webp", _pillow(alpha, lossless=True, exact=True), on_white(alpha), tolerance=1)
    yield Case("lossy.webp", _pillow(colour, quality=95), colour, tolerance=20)
    yield Case(
        # Without a profile, CMYK is whatever a press makes of it: libvips' own profile is as good as any.
        "cmyk.jpg",
        lambda path: Image.fromarray(colour).convert("CMYK").save(path, quality=97),
        colour,
        tolerance=110,
    )
    for share in (0.1, 0.5, 0.9):
        for suffix, options in (("jpg", {"quality": 97}), ("png", {}), ("webp", {"lossless": True}), ("ppm", {})):
            yield Case(f"cut{share}.{suffix}", _cut(_pillow(colour, **options), share), None)
    yield Case("flipped.png", _flipped, None)
    yield Case("claims.png", lambda path: path.write_bytes(png(60_000, 60_000, 2, bytes(1000))), None)
    yield Case("empty.png", lambda path: path.write_bytes(b""), None)
    yield Case("text.jpg", lambda path: path.write_bytes(b"no image at all"), None)
    yield Case("colour.ppm", _pillow(colour), colour)
    yield Case("grey.pgm", _pillow(grey), grey)
    yield Case("deep.ppm", lambda path: path.write_bytes(_ppm(deep)), deep)
    yield Case("comment.ppm", lambda path: path.write_bytes(_ppm(colour, b"# written by a camera\n")), colour)
    yield Case("other levels.ppm", lambda path: path.write_bytes(_ppm(colour // 2, levels=127)), None)
    yield Case("text.ppm", lambda path: path.write_bytes(b"P3\n1 1\n255\n1 2 3\n"), None)
    yield Case("claims.ppm", lambda path: path.write_bytes(b"P6\n60000 60000\n255\n" + bytes(1000)), None)
    for suffix in ("gif", "bmp", "jp2", "ico", "pcx", "tga"):
        yield Case(f"other.{suffix}", _pillow(colour), None)


def _ppm(pixels: np.ndarray, comment: bytes = b"", levels: int | None = None) -> bytes:
    """Pixels ``[H, W, 3]`` uint8 or uint16 as a binary PPM, whose 16 bits have the higher byte first."""
    height, width, _ = pixels.shape
    header = b"P6\n%s%d %d\n%d\n" % (comment, width, height, levels or np.iinfo(pixels.dtype).max)
    return header + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()


def _palette(path: Path) -> None:
    image = Image.fromarray(ramp(1)[..., 0], "P")
    image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(path)


def _palette_pixels() -> np.ndarray:
    table = np.array(list(range(255, -1, -1)) * 3, np.uint8).reshape(256, 3)
    return table[ramp(1)[..., 0]]


def _bilevel(grey: np.ndarray) -> np.ndarray:
    return np.where(grey > 100, 255, 0).astype(np.uint8)


def _flipped(path: Path) -> None:
    """A bit of the pixels is flipped, and with it the checksum wrong."""
    buffer = io.BytesIO()
    Image.fromarray(ramp()).save(buffer, "PNG", compress_level=0)
    data = bytearray(buffer.getvalue())
    data[len(data) // 2] ^= 16
    assert zlib.crc32(data)
    path.write_bytes(data)
