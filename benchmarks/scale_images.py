"""Images for the scale benchmark: texture at every place and every scale, of any size, written in a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyvips
import tifffile

from tfvs.images.tiff.frames import HEADER_BYTES
from tfvs.images.tiff.framing import frame
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index

# The texture repeats after so many pixels: 64 distinct tiles at level 0, and a quarter of that at each coarser level.
PERIOD = 2048
TILE = 256
QUALITY = 90


def texture(side: int) -> pyvips.Image:
    """A square colour image of noise, equally strong in seven octaves: each pyramid level has as much detail."""
    total = pyvips.Image.black(PERIOD, PERIOD)
    for octave in range(7):
        step = 2**octave
        cells = PERIOD // step + 2
        noise = pyvips.Image.gaussnoise(cells, cells, sigma=6, mean=0, seed=octave)
        total += noise.resize(step, kernel="cubic").crop(0, 0, PERIOD, PERIOD)
    planes = [total * 0.7 + 128, (total + total.rot90()) * 0.35 + 120, 128 - total * 0.5]
    base = planes[0].bandjoin(planes[1:]).cast("uchar").copy(interpretation="srgb").copy_memory()
    repeats = -(-side // PERIOD)
    return base.replicate(repeats, repeats).crop(0, 0, side, side)


def write_large_pyramid(path: Path, side: int) -> None:
    """A framed pyramid of :func:`texture`, composed from tiles that are encoded once.

    Levels halve and drop an odd last pixel, so that level l of a periodic image repeats after ``PERIOD / 2^l`` pixels,
    and its tiles are those of a small pyramid, again and again. Levels coarser than one tile a small pyramid repeat
    that tile.
    """
    base_path, plain = path.with_suffix(".base"), path.with_suffix(".plain")
    write_pyramid(texture(2 * PERIOD), base_path, tile_size=TILE, quality=QUALITY)
    base = read_index(base_path)
    data = base_path.read_bytes()
    with tifffile.TiffFile(base_path) as tiff:
        tables = tiff.pages[0].jpegtables

    def tiles(level: int, across: int) -> Iterator[bytes]:
        width, _, _, _, first = base.levels[level]
        row = -(-width // TILE)
        distinct = max(PERIOD // 2**level // TILE, 1)
        for number in range(across * across):
            source = first + number // across % distinct * row + number % across % distinct
            start = base.tile_offsets[source] + HEADER_BYTES
            yield data[start : start + base.tile_bytes[source]]

    with tifffile.TiffWriter(plain, bigtiff=True) as out:
        for level in range(side.bit_length()):
            level_side = side >> level
            # The last level of the small pyramid that still fills a tile.
            known = min(level, (2 * PERIOD // TILE).bit_length() - 1)
            out.write(
                tiles(known, -(-level_side // TILE)),
                shape=(level_side, level_side, 3),
                dtype="uint8",
                tile=(TILE, TILE),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"outcolorspace": "rgb"},
                jpegtables=tables,
                subfiletype=int(level > 0),
                metadata=None,
            )
    frame(plain, path)
    plain.unlink()
    base_path.unlink()


def write_source(path: Path, side: int) -> None:
    """The texture as a JPEG, as a camera would give it."""
    texture(side).jpegsave(str(path), Q=92)
