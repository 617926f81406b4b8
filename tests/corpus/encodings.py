"""TIFFs in every codec, layout and depth."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pyvips
import tifffile

from tests.corpus.case import SIDE, Case, ramp, turned
from tests.corpus.handmade import SHORT, split_tiles, write_tiles

LOSSLESS = (
    None,
    "lzw",
    "packbits",
    "deflate",
    "adobe_deflate",
    "lzma",
    "zstd",
    "png",
    "jpegxr",
    "lerc",
    "jpegxl",
    "webp",
)
JPEG_2000 = ("jpeg2000", 33003, 33005)
TILE = 32
FINE: dict[str, Any] = {"compression": "jpeg", "compressionargs": {"level": 97}, "subsampling": (1, 1)}


def tiff(pixels: np.ndarray, **options: Any) -> Callable[[Path], None]:
    """Writes with tifffile; ``planar`` puts each band on its own."""
    planar = options.pop("planar", False)
    colour = "rgb" if pixels.ndim == 3 and pixels.shape[2] >= 3 else "minisblack"
    options = {"photometric": colour, "metadata": None, **options}
    data = pixels.squeeze()
    if planar:
        data, options["planarconfig"] = np.ascontiguousarray(data.transpose(2, 0, 1)), "separate"
    return lambda path: tifffile.imwrite(path, data, **options)


def encodings() -> Iterator[Case]:
    """Codecs by layout and depth."""
    colour, grey, deep, deep_grey = ramp(), ramp(1), ramp(3, "uint16"), ramp(1, "uint16")
    layouts: dict[str, dict[str, Any]] = {"tiles": {"tile": (TILE, TILE)}, "strips": {"rowsperstrip": 17}}
    for layout, options in layouts.items():
        for codec in (*LOSSLESS, *JPEG_2000):
            yield Case(f"{layout}-{codec}.tif", tiff(colour, compression=codec, **options), colour)
        yield Case(f"{layout}-jpeg.tif", tiff(colour, **FINE, **options), colour, tolerance=8)
        yield Case(
            f"{layout}-jpeg-grey.tif",
            tiff(grey, compression="jpeg", compressionargs={"level": 97}, **options),
            grey,
            tolerance=6,
        )
        for codec in (None, "lzw", "deflate", "zstd", "lzma"):
            yield Case(f"{layout}-deep-{codec}.tif", tiff(deep, compression=codec, **options), deep)
            for order in "<>":
                predictor = {} if codec is None else {"predictor": True}
                write = tiff(deep_grey, compression=codec, byteorder=order, **predictor, **options)
                yield Case(f"{layout}-deep-grey-{codec}{'be' if order == '>' else 'le'}.tif", write, deep_grey)
            yield Case(f"{layout}-planar-{codec}.tif", tiff(colour, planar=True, compression=codec, **options), colour)
        for codec in ("lzw", "deflate", "zstd"):
            yield Case(
                f"{layout}-predictor-{codec}.tif", tiff(colour, compression=codec, predictor=True, **options), colour
            )
        yield Case(f"{layout}-big.tif", tiff(colour, bigtiff=True, byteorder=">", **options), colour)
        for orientation in range(2, 9):
            tag = [(274, "H", 1, orientation, True)]
            write = tiff(colour, compression="deflate", extratags=tag, **options)
            yield Case(f"{layout}-turned{orientation}.tif", write, turned(colour, orientation))
    yield Case(
        "turned-zstd.tif", tiff(colour, compression="zstd", extratags=[(274, "H", 1, 6, True)]), turned(colour, 6)
    )
    for side in (40, 48, 56):
        parts = [tile.tobytes() for tile in split_tiles(colour, side)]
        yield Case(f"side{side}.tif", _tiles(parts, 1, side=side), colour)
    yield from _stored_jpeg()
    yield from _padded_and_left_out()
    yield from _pyramids()


def _tiles(parts: list[bytes], compression: int, *, side: int = TILE, **options: Any) -> Callable[[Path], None]:
    return lambda path: write_tiles(path, (SIDE, SIDE), side, compression, parts, **options)


def _stored_jpeg() -> Iterator[Case]:
    """JPEG tiles whose own markers say how colour is stored, in agreement with the TIFF or not."""
    colour = ramp()
    tiles = split_tiles(colour, TILE)
    ycbcr = [imagecodecs.jpeg8_encode(tile, level=97, subsampling="444") for tile in tiles]
    rgb = [imagecodecs.jpeg8_encode(tile, level=97, colorspace="rgb", outcolorspace="rgb") for tile in tiles]
    no_subsampling = [(530, SHORT, [1, 1])]
    yield Case("jfif ycbcr.tif", _tiles(ycbcr, 7, photometric=6, extra=no_subsampling), colour, tolerance=8)
    yield Case("adobe rgb.tif", _tiles(rgb, 7), colour, tolerance=8)
    yield Case("jfif against the tag.tif", _tiles(ycbcr, 7), None)
    yield Case("adobe against the tag.tif", _tiles(rgb, 7, photometric=6, extra=no_subsampling), None)
    mixed = [*rgb[:4], *ycbcr[4:]]
    yield Case("one tile against the tag.tif", _tiles(mixed, 7), None)
    for count in (1, 16, 17, 100, 5000):
        padded = [part + bytes(count) for part in ycbcr]
        yield Case(
            f"jpeg padded {count}.tif", _tiles(padded, 7, photometric=6, extra=no_subsampling), colour, tolerance=8
        )
    for share in (0.3, 0.9):
        cut = [part[: int(len(part) * share)] for part in ycbcr]
        yield Case(f"jpeg cut {share}.tif", _tiles(cut, 7, photometric=6, extra=no_subsampling), None)


def _padded_and_left_out() -> Iterator[Case]:
    colour = ramp()
    tiles = [tile.tobytes() for tile in split_tiles(colour, TILE)]
    deflated = [zlib.compress(tile) for tile in tiles]
    yield Case("padded.tif", _tiles([tile + bytes(20) for tile in tiles], 1), colour)
    yield Case("padded with more.tif", _tiles([tile + b"\xff" * 3000 for tile in tiles], 1), colour)
    yield Case("too short.tif", _tiles([*tiles[:3], tiles[3][:-100], *tiles[4:]], 1), None)
    yield Case("deflate padded.tif", _tiles([tile + bytes(9) for tile in deflated], 8), colour)
    yield Case("deflate cut.tif", _tiles([*deflated[:3], deflated[3][:-9], *deflated[4:]], 8), None)
    yield Case("lzw cut.tif", _tiles([imagecodecs.lzw_encode(tile)[:90] for tile in tiles], 5), None)
    yield Case("zstd cut.tif", _tiles([imagecodecs.zstd_encode(tile)[:60] for tile in tiles], 50000), None)
    left_out = colour.copy()
    left_out[32:64, 32:64] = 0
    for name, parts, codec in (("sparse", tiles, 1), ("sparse deflate", deflated, 8)):
        yield Case(f"{name}.tif", _tiles([*parts[:4], b"", *parts[5:]], codec), left_out)
    filled = colour.copy()
    filled[32:64, 32:64] = 7
    nodata = [(42113, 2, list(b"7\0"))]
    yield Case("sparse nodata.tif", _tiles([*tiles[:4], b"", *tiles[5:]], 1, extra=nodata), filled)
    yield Case("all left out.tif", _tiles([b""] * 9, 1), np.zeros_like(colour))


def _pyramids() -> Iterator[Case]:
    """As libvips writes them."""
    for bands in (1, 3):
        pixels = ramp(bands)
        for dtype in ("uint8", "uint16"):
            pixels = ramp(bands, dtype)
            for codec, options in (
                ("jpeg", {"Q": 95}),
                ("jpeg", {"Q": 85}),
                ("deflate", {}),
                ("deflate", {"predictor": "horizontal"}),
                ("lzw", {}),
                ("none", {}),
            ):
                if codec == "jpeg" and dtype == "uint16":
                    continue
                name = "-".join(["pyramid", str(bands), dtype, codec, *map(str, options.values())])
                # Chroma of half the resolution takes the zeros behind the image's edge in.
                tolerance = {95: 12, 85: 60}[options["Q"]] if codec == "jpeg" else 0
                yield Case(f"{name}.tif", _vips_pyramid(pixels, codec, options), pixels, tolerance=tolerance)
    colour = ramp()
    yield Case("pyramid-subifd.tif", _vips_pyramid(colour, "deflate", {"subifd": True}), colour)


def _vips_pyramid(pixels: np.ndarray, codec: str, options: dict[str, Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        deep = pixels.dtype == np.uint16
        grey = pixels.shape[2] == 1
        kind = ("grey16" if deep else "b-w") if grey else ("rgb16" if deep else "srgb")
        image = pyvips.Image.new_from_array(pixels).copy(interpretation=kind)
        layout = {"tile": True, "pyramid": True, "tile_width": TILE, "tile_height": TILE, "bigtiff": True}
        image.tiffsave(str(path), compression=codec, **layout, **options)

    return write
