"""TIFFs whose bands, samples and directories mean something that has to be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from tests.corpus.case import SIDE, Case, on_white, ramp
from tests.corpus.encodings import tiff
from tests.corpus.handmade import ASCII, SHORT, UNDEFINED, old_lzw, strip_entries, write_tiff
from tfvs.images.tiff.choice import LEFT_OUT_BANDS, LEFT_OUT_PAGES
from tfvs.preparation.opening import FEW_BITS


def meanings() -> Iterator[Case]:
    """Everything of this file."""
    yield from _bands()
    yield from _samples()
    yield from _directories()
    yield from _oddities()


def _bands() -> Iterator[Case]:
    four, colour, grey = ramp(4), ramp(), ramp(1)
    straight, other, premultiplied = (["unassalpha"], ["unspecified"], ["assocalpha"])
    for codec in (None, "deflate", "zstd"):
        for layout, options in (("tiles", {"tile": (32, 32)}), ("strips", {})):
            name = f"{layout}-{codec}"
            write = tiff(four, compression=codec, extrasamples=straight, **options)
            yield Case(f"rgba-{name}.tif", write, on_white(four), tolerance=1, stored=four)
            write = tiff(four, compression=codec, extrasamples=other, **options)
            yield Case(f"near infrared-{name}.tif", write, colour, stored=four, note=LEFT_OUT_BANDS)
    alpha = four[..., 3:].astype(float) / 255
    faded = np.dstack([np.rint(colour * alpha).astype(np.uint8), four[..., 3:]])
    composed = np.clip(np.rint(faded[..., :3] + 255 * (1 - alpha)), 0, 255).astype(np.uint8)
    yield Case("premultiplied.tif", tiff(faded, extrasamples=premultiplied), composed, tolerance=2, stored=faded)
    yield Case("four kept.tif", tiff(four, extrasamples=other), four, {"bands": 4, "channels": (1, 2, 3, 4)})
    swapped = four[..., [3, 1, 0]]
    yield Case("channels.tif", tiff(four, extrasamples=other), swapped, {"channels": (4, 2, 1)}, stored=four)
    yield Case(
        "channels-zstd.tif", tiff(four, compression="zstd", extrasamples=other), swapped, {"channels": (4, 2, 1)}
    )
    yield Case("one channel.tif", tiff(four, extrasamples=other), four[..., 3:], {"channels": (4,)}, stored=four)
    yield Case("no such channel.tif", tiff(four, extrasamples=other), None, {"channels": (5,)})
    two = ramp(2)
    yield Case(
        "grey alpha.tif",
        tiff(two, extrasamples=straight, planarconfig="contig"),
        on_white(two),
        tolerance=1,
        stored=two,
    )
    for bands in (2, 3, 4):
        several = ramp(bands)
        write = tiff(several, photometric="minisblack", planarconfig="contig")
        yield Case(f"{bands} grey bands.tif", write, several, stored=several)
    five = ramp(5)
    many = tiff(five, photometric="minisblack", planarconfig="contig")
    yield Case("five bands.tif", many, None)
    yield Case("five bands chosen.tif", many, five[..., [4, 2, 0]], {"channels": (5, 3, 1)})
    yield Case("rgb and two.tif", tiff(five, extrasamples=["unspecified"] * 2), colour, note=LEFT_OUT_BANDS)
    white = 255 - grey
    yield Case("white is zero.tif", tiff(white, photometric="miniswhite"), grey)
    yield Case("white is zero-zstd.tif", tiff(white, photometric="miniswhite", compression="zstd"), grey)
    table = np.stack([np.arange(256), np.arange(255, -1, -1), np.arange(256) // 2]).astype(np.uint16) * 257
    expanded = (table >> 8).astype(np.uint8).T[grey[..., 0]]
    for codec in (None, "zstd"):
        write = tiff(grey, photometric="palette", colormap=table, compression=codec)
        yield Case(f"palette-{codec}.tif", write, expanded)


def _samples() -> Iterator[Case]:
    colour, grey = ramp(), ramp(1)
    scale = {"scale": (0.0, 255.0), "dtype": "uint8"}
    for dtype in ("float16", "float32", "float64", "int8", "int16", "int32", "uint32"):
        values = (colour // 2 if dtype == "int8" else colour).astype(dtype)
        wanted = values.astype(np.uint8)
        for codec in (None, "deflate", "zstd"):
            yield Case(f"{dtype}-{codec}.tif", tiff(values, compression=codec), None)
            yield Case(f"{dtype}-{codec} scaled.tif", tiff(values, compression=codec), wanted, scale)
    below = colour.astype(np.int16) - 100
    yield Case("negative.tif", tiff(below), colour, {"scale": (-100.0, 155.0), "dtype": "uint8"})
    holes = grey.astype(np.float32)
    holes[10:20, 10:20] = np.nan
    filled = grey.copy()
    filled[10:20, 10:20] = 9
    yield Case("nan.tif", tiff(holes), filled, {**scale, "fill": 9})
    marked = np.where(np.isnan(holes), np.float32(-9999), holes)
    yield Case("nodata.tif", tiff(marked), filled, {**scale, "fill": 9, "nodata": -9999.0})
    tagged = tiff(marked, extratags=[(42113, "s", 0, "-9999", True)])
    yield Case("nodata tag.tif", tagged, filled, {**scale, "fill": 9})
    few = grey.astype(np.uint16) << 4
    yield Case("12 in 16.tif", tiff(few), few, note=FEW_BITS)
    yield Case("12 in 16 scaled.tif", tiff(few), grey, {"scale": (0.0, 4080.0), "dtype": "uint8"})
    for bits in (10, 12, 14):
        top = (1 << bits) - 1
        values = np.rint(grey / 255 * top).astype(np.uint16)
        wide = ((values.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
        yield Case(f"{bits} bits.tif", _packed(values[..., 0], bits), wide, tolerance=1)
    for bits in (2, 4):
        top = (1 << bits) - 1
        values = (grey // (256 // (top + 1))).astype(np.uint8)
        wide = values * (255 // top)
        yield Case(f"{bits} bits.tif", _packed(values[..., 0], bits), wide)
    yield Case("bilevel.tif", tiff(grey > 100), np.where(grey > 100, 255, 0).astype(np.uint8))
    yield Case("complex.tif", tiff(grey.astype(np.complex64)), None)


def _packed(values: np.ndarray, bits: int) -> Callable[[Path], None]:
    """Samples of few bits one behind the other, each row from a byte of its own on."""
    planes = values[..., np.newaxis] >> np.arange(bits - 1, -1, -1) & 1
    data = np.packbits(planes.reshape(SIDE, -1).astype(np.uint8), axis=1).tobytes()
    entries = [entry for entry in strip_entries(values[..., np.newaxis], len(data)) if entry[0] not in (258, 262)]
    entries += [(258, SHORT, [bits]), (262, SHORT, [1])]
    return lambda path: write_tiff(path, sorted(entries), data)


def _directories() -> Iterator[Case]:
    colour, small, other = ramp(), ramp()[::4, ::4], 255 - ramp()
    stack = [255 - ramp(1), ramp(1), ramp(1) // 2]

    def pages(*images: tuple[np.ndarray, dict[str, Any]], **common: Any) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            with tifffile.TiffWriter(path) as writer:
                for image, options in images:
                    photometric = "rgb" if image.shape[2] == 3 else "minisblack"
                    merged = {"photometric": photometric, "metadata": None, **common, **options}
                    writer.write(image.squeeze(), **merged)

        return write

    reduced, mask = {"subfiletype": 1}, {"subfiletype": 4, "photometric": "mask"}
    tiled = {"tile": (32, 32), "compression": "deflate"}
    for name, options in (("strips", {}), ("tiles", tiled)):
        yield Case(f"thumbnail first-{name}.tif", pages((small, reduced), (colour, options)), colour)
        yield Case(f"plain thumbnail first-{name}.tif", pages((small, {}), (colour, options)), colour)
        yield Case(f"mask-{name}.tif", pages((colour, options), (ramp(1) > 99, mask)), colour)
        yield Case(f"macro-{name}.tif", pages((colour, options), (ramp()[:20, :60], {})), colour, note=LEFT_OUT_PAGES)
        label_first = pages((ramp()[:20, :60], {}), (colour, options))
        yield Case(f"label first-{name}.tif", label_first, colour, note=LEFT_OUT_PAGES)
        three = pages(*((plane, options) for plane in stack))
        yield Case(f"stack-{name}.tif", three, stack[0], note=LEFT_OUT_PAGES)
        yield Case(f"stack page-{name}.tif", three, stack[1], {"page": 1})
        yield Case(
            f"stack channels-{name}.tif", three, np.dstack([stack[2], stack[0], stack[1]]), {"channels": (3, 1, 2)}
        )
        yield Case(f"no such page-{name}.tif", three, None, {"page": 7})
        yield Case(f"two pictures-{name}.tif", pages((colour, options), (other, options)), colour, note=LEFT_OUT_PAGES)
    yield Case("large reduced.tif", pages((ramp(side=160), reduced), (colour, {})), colour)
    yield Case("below the thumbnail.tif", _below(small, colour), colour)


def _below(small: np.ndarray, image: np.ndarray) -> Callable[[Path], None]:
    """The image in a SubIFD of its thumbnail, as cameras write it."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as writer:
            writer.write(small, subifds=1, subfiletype=1, photometric="rgb", metadata=None)
            writer.write(image, subfiletype=0, photometric="rgb", metadata=None)

    return write


def _oddities() -> Iterator[Case]:
    """What libtiff warns of, and every viewer opens; and what none should."""
    colour = ramp()
    raw = colour.tobytes()
    entries = strip_entries(colour, len(raw))

    def made(changed: list[Any], data: bytes = raw) -> Callable[[Path], None]:
        return lambda path: write_tiff(path, changed, data)

    yield Case("unsorted.tif", made(entries[::-1]), colour)
    yield Case("nul.tif", made([*entries, (305, ASCII, list(b"a\0b"))]), colour)
    yield Case("no end of text.tif", made([*entries, (305, ASCII, list(b"abcdef"))]), colour)
    yield Case("zero count.tif", made(strip_entries(colour, 0)), colour)
    yield Case("no counts.tif", made(entries[:-1]), colour)
    yield Case("unknown tag.tif", made([*entries, (65000, UNDEFINED, list(b"abcdefg"))]), colour)
    lzw = old_lzw(raw)
    yield Case("old lzw.tif", made(strip_entries(colour, len(lzw), 5), lzw), colour)
    deflated = imagecodecs.zlib_encode(raw)
    yield Case("old deflate.tif", made(strip_entries(colour, len(deflated), 32946), deflated), colour)
    yield Case("cut.tif", made(entries, raw[:-2000]), None)
    yield Case("beyond the end.tif", made([(273, 4, [10**8]) if entry[0] == 273 else entry for entry in entries]), None)
    yield Case("huge.tif", made([(256, 4, [2**31 - 1]) if entry[0] == 256 else entry for entry in entries]), None)
    yield Case("no size.tif", made(entries[1:]), None)
    yield Case("header alone.tif", lambda path: path.write_bytes(b"II*\0" + bytes(4)), None)
    yield Case(
        "noise.tif", lambda path: path.write_bytes(b"II*\0\x08\0\0\0" + np.random.default_rng(0).bytes(900)), None
    )
