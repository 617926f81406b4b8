"""Damage that decoders do not notice: tiles and strips of a TIFF whose deflate stream stops before its end.

libtiff takes as many bytes as it needs and no further, so that the checksum behind them is not reached where damage
decodes to pixels too, as zeros do. JPEG streams are looked at whenever a TIFF is opened (tfvs.images.tiff.choice).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import tifffile

from tfvs.errors import ImageError
from tfvs.images.tiff.choice import page_at

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
DEFLATES = (8, 32946)
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


def check_streams(path: str, pages: Sequence[int] = (0,)) -> None:
    """Follows every deflate stream of some pages of a TIFF to its end, streaming.

    Args:
      path: Path of the TIFF.
      pages: The pages that will be used, as :class:`tfvs.images.tiff.choice.TiffChoice` numbers them.

    Raises:
      ImageError: A stream is damaged or stops early.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            found = [_page(page_at(tiff, number)) for number in pages]
    except Exception:  # errors of many kinds for a damaged directory: libvips then says whether it can be read
        return
    with open(path, "rb") as file:
        for page in found:
            for start, length in page.parts:
                if length and page.compression in DEFLATES and not _inflates(file, start, length, page.part_bytes):
                    raise ImageError(
                        "A tile or strip is damaged: its compressed stream does not come to its end",
                        received=f"{length} bytes at {start} of {path}",
                    )


def _page(page: tifffile.TiffPage) -> _Page:
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
