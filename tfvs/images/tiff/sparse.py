"""Pyramids of images that are blank almost everywhere, written from the few tiles that hold something.

Work, memory and disk grow with what an image shows, not with its size: all blank tiles of a file are one, to which its
directories point, so that any reader of TIFF reads it. The tile index leaves blank tiles out, and the reader in the
graph gives zeros there without reading. Files are framed as those of
:func:`tfvs.images.tiff.pyramid.write_pyramid` are; see docs/pyramids.md.
"""

from __future__ import annotations

import os
import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

from tfvs.data.records import TileIndex
from tfvs.errors import InputError
from tfvs.images.tiff.frames import FOOTER_BYTES, HEADER_BYTES, frame_header, masked_crc
from tfvs.images.tiff.framing import MAX_GAP_BYTES

COMPRESSIONS = {"none": 1, "deflate": 8}
_SHORT, _LONG, _LONG8 = (3, "H"), (4, "I"), (16, "Q")


@dataclass(frozen=True, eq=False)
class SparseImage:
    """A grey image as the tiles that are not blank.

    Attributes:
      height: Pixels.
      width: Pixels.
      tile_size: Side of a tile, pixels.
      tiles: Row and column of a tile → ``[tile_size, tile_size]`` uint8, zero outside the image.
    """

    height: int
    width: int
    tile_size: int
    tiles: Mapping[tuple[int, int], np.ndarray]

    @classmethod
    def from_patches(
        cls, height: int, width: int, tile_size: int, patches: np.ndarray, corners: np.ndarray
    ) -> SparseImage:
        """Pastes patches on black, each over those before it.

        Args:
          height: Pixels.
          width: Pixels.
          tile_size: Side of a tile, pixels.
          patches: ``[N, P, P]`` uint8.
          corners: ``[N, 2]`` int, top and left of each patch, which lies wholly within the image.

        Raises:
          InputError: A patch does not lie within the image.
        """
        side = patches.shape[1]
        if len(corners) and not (corners.min() >= 0 and np.all(corners.max(0) + side <= (height, width))):
            raise InputError("A patch leaves the image", expected=f"within {height} x {width} px", received=corners)
        tiles: dict[tuple[int, int], np.ndarray] = {}
        for (top, left), patch in zip(corners.tolist(), patches, strict=True):
            for row in range(top // tile_size, (top + side - 1) // tile_size + 1):
                for column in range(left // tile_size, (left + side - 1) // tile_size + 1):
                    tile = tiles.setdefault((row, column), np.zeros([tile_size, tile_size], np.uint8))
                    y, x = row * tile_size - top, column * tile_size - left  # of the tile, in the patch
                    part = patch[max(y, 0) : y + tile_size, max(x, 0) : x + tile_size]
                    y, x = max(-y, 0), max(-x, 0)
                    tile[y : y + part.shape[0], x : x + part.shape[1]] = part
        return cls(height, width, tile_size, tiles)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.height // self.tile_size), -(-self.width // self.tile_size)

    def halved(self) -> SparseImage:
        """The next level: means of 2 × 2 pixels; an odd last row or column is left out, as libvips does."""
        size = self.tile_size
        height, width = max(self.height // 2, 1), max(self.width // 2, 1)
        tiles: dict[tuple[int, int], np.ndarray] = {}
        for (row, column), tile in self.tiles.items():
            small = tile.reshape(size // 2, 2, size // 2, 2).sum((1, 3), dtype=np.uint16)
            whole = tiles.setdefault((row // 2, column // 2), np.zeros([size, size], np.uint8))
            y, x = row % 2 * size // 2, column % 2 * size // 2
            whole[y : y + size // 2, x : x + size // 2] = (small + 2) // 4
        for (row, column), tile in tiles.items():
            tile[max(height - row * size, 0) :] = 0
            tile[:, max(width - column * size, 0) :] = 0
        kept = {place: tile for place, tile in tiles.items() if tile.any()}
        return SparseImage(height, width, size, kept)

    def levels(self) -> list[SparseImage]:
        """This image and its coarser levels, down to one that is a single tile."""
        found = [self]
        while max(found[-1].grid) > 1:
            found.append(found[-1].halved())
        return found

    def dense(self) -> np.ndarray:
        """``[height, width]`` uint8."""
        size = self.tile_size
        pixels = np.zeros([self.grid[0] * size, self.grid[1] * size], np.uint8)
        for (row, column), tile in self.tiles.items():
            pixels[row * size : (row + 1) * size, column * size : (column + 1) * size] = tile
        return pixels[: self.height, : self.width]


def write_sparse_pyramid(
    image: SparseImage,
    destination: str | os.PathLike[str],
    *,
    compression: str = "none",
    levels: list[SparseImage] | None = None,
) -> TileIndex:
    """Writes an image as a framed pyramid TIFF whose blank tiles are one.

    Args:
      image: Level 0; its tiles' side is a multiple of 16.
      destination: Path of the pyramid; it appears whole or not at all.
      compression: ``"none"`` or ``"deflate"``.
      levels: Levels as :meth:`SparseImage.levels` gives them; None makes them.

    Returns:
      The pyramid's tile index: as :func:`tfvs.images.tiff.tile_index.read_index` reads it, but that the blank tiles
      have no bytes, which saves reading them.

    Raises:
      InputError: An unknown compression, or tiles of a size that TIFF does not have.
    """
    if compression not in COMPRESSIONS or image.tile_size % 16 or image.tile_size < 16:
        raise InputError(
            "The pyramid cannot be written",
            expected=f"one of {sorted(COMPRESSIONS)}, tiles whose side is a multiple of 16",
            received=f"{compression!r}, tiles of {image.tile_size} px",
        )
    levels = levels or image.levels()
    encoded = [_encode(level, compression) for level in levels]
    check = 0
    for data in encoded[0]:
        check = google_crc32c.extend(check, data)
    out = bytearray(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) + bytes(check % MAX_GAP_BYTES))
    blank = _compress(bytes(image.tile_size**2), compression)
    blank_start = _append_record(out, blank)
    fields: list[tuple[int, int, int, int, int]] = []
    starts: list[int] = []
    lengths: list[int] = []
    for level, tiles in zip(levels, encoded, strict=True):
        fields.append((level.width, level.height, level.tile_size, level.tile_size, len(starts)))
        starts += [_append_record(out, data) if data else 0 for data in tiles]
        lengths += [len(data) for data in tiles]
    link = 8  # where the place of the next directory goes
    for number, (width, height, side, _, first) in enumerate(fields):
        tiles_here = slice(first, first + len(encoded[number]))
        tags = {
            254: (_LONG, [int(number > 0)]),  # a smaller version of page 0
            256: (_LONG, [width]),
            257: (_LONG, [height]),
            258: (_SHORT, [8]),
            259: (_SHORT, [COMPRESSIONS[compression]]),
            262: (_SHORT, [1]),
            277: (_SHORT, [1]),
            284: (_SHORT, [1]),
            322: (_LONG, [side]),
            323: (_LONG, [side]),
            324: (_LONG8, [start or blank_start for start in starts[tiles_here]]),
            325: (_LONG8, [length or len(blank) for length in lengths[tiles_here]]),
            339: (_SHORT, [1]),
        }
        struct.pack_into("<Q", out, link, _append_directory(out, tags))
        link = len(out) - 8
    _write_whole(Path(destination), out)
    return TileIndex(
        width=image.width,
        height=image.height,
        bands=1,
        file_bytes=len(out),
        levels=fields,
        tile_offsets=[start - HEADER_BYTES if start else 0 for start in starts],
        tile_bytes=lengths,
        framed=True,
        compression=compression,
        jpeg_tables=b"",
        dtype="uint8",
    )


def _encode(level: SparseImage, compression: str) -> list[bytes]:
    """The tiles of a level in the file's order; nothing for a blank one."""
    rows, columns = level.grid
    found = [b""] * (rows * columns)
    for (row, column), tile in level.tiles.items():
        found[row * columns + column] = _compress(tile.tobytes(), compression)
    return found


def _compress(data: bytes, compression: str) -> bytes:
    return zlib.compress(data, 1) if compression == "deflate" else data


def _append_record(out: bytearray, data: bytes) -> int:
    """Writes a tile in its frame; returns where the tile begins."""
    out += frame_header(len(data)) + data + struct.pack("<I", masked_crc(data))
    return len(out) - len(data) - FOOTER_BYTES


def _append_directory(out: bytearray, tags: Mapping[int, tuple[tuple[int, str], list[int]]]) -> int:
    """Writes a directory and its longer values; returns where it begins."""
    table = b""
    for code, ((kind, letter), values) in tags.items():
        packed = struct.pack(f"<{len(values)}{letter}", *values)
        if len(packed) > 8:
            out += bytes(-len(out) % 8)
            place = len(out)
            out += packed
            packed = struct.pack("<Q", place)
        table += struct.pack("<HHQ", code, kind, len(values)) + packed.ljust(8, b"\0")
    begin = len(out)
    out += struct.pack("<Q", len(tags)) + table + bytes(8)
    return begin


def _write_whole(destination: Path, content: bytearray) -> None:
    part = destination.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(content)
        os.replace(part, destination)
    finally:
        part.unlink(missing_ok=True)
