"""Damage that decoders pass over: tiles and strips of a TIFF whose compressed stream stops before its end.

From a deflate stream libtiff takes as many bytes as it needs and no further, so that the checksum behind them is not
reached where damage decodes to pixels too, as zeros do; what a JPEG stream lacks is filled with grey.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import tifffile

from tfvs.errors import ImageError

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG, DEFLATES = 7, (8, 32946)
_END_OF_IMAGE = b"\xff\xd9"
_PADDING = 16  # writers may round a stream's length up
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Page:
    compression: int
    part_bytes: int  # a whole tile or strip, decompressed
    parts: list[tuple[int, int]]  # start and length


def is_tiff(path: str) -> bool:
    """Whether a file is a TIFF, by its first bytes."""
    with open(path, "rb") as file:
        return file.read(4) in SIGNATURES


def check_streams(path: str, pages: int = 1) -> None:
    """Follows every deflate and JPEG stream of a TIFF's first pages to its end, streaming.

    Args:
      path: Of the TIFF.
      pages: How many pages will be used.

    Raises:
      ImageError: A stream is damaged or stops early.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            found = [_page(tiff.pages[number]) for number in range(pages)]
    except Exception:  # whatever a damaged directory makes the parser raise: whether it can be read, libvips says
        return
    with open(path, "rb") as file:
        for page in found:
            for start, length in page.parts:
                whole = not length or (
                    _inflates(file, start, length, page.part_bytes)
                    if page.compression in DEFLATES
                    else page.compression != JPEG or _ends(file, start, length)
                )
                if not whole:
                    raise ImageError(
                        "A tile or strip is damaged: its compressed stream does not come to its end",
                        received=f"{length} bytes at {start} of {path}",
                    )


def _page(page: tifffile.TiffPage | tifffile.TiffFrame) -> _Page:
    if not isinstance(page, tifffile.TiffPage):
        raise TypeError(page)
    width, rows = (
        (page.tilewidth, page.tilelength)
        if page.is_tiled
        else (page.imagewidth, min(page.rowsperstrip, page.imagelength))
    )
    bands = page.samplesperpixel if int(page.planarconfig) == 1 else 1
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    return _Page(int(page.compression), rows * -(-width * bands * page.bitspersample // 8), parts)


def _inflates(file: BinaryIO, start: int, length: int, part_bytes: int) -> bool:
    """Whether a zlib stream ends within its length, with the right checksum and no more than there is room for."""
    stream, given, read = zlib.decompressobj(), 0, 0
    try:
        while not stream.eof and given <= part_bytes:
            data = stream.unconsumed_tail
            if not data:
                data = os.pread(file.fileno(), min(_CHUNK, length - read), start + read)
                read += len(data)
                if not data:
                    return False
            given += len(stream.decompress(data, _CHUNK))
    except zlib.error:
        return False
    return stream.eof and given <= part_bytes


def _ends(file: BinaryIO, start: int, length: int) -> bool:
    """Whether a JPEG stream has its end marker."""
    count = min(length, _PADDING)
    return _END_OF_IMAGE in os.pread(file.fileno(), count, start + length - count)
