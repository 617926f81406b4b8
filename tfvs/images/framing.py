"""Framing: copying a pyramid TIFF so that every tile is also a TFRecord. Tiles are copied, never decoded.

The result is a BigTIFF of the source's byte order. Each tile is preceded by a TFRecord header and followed by its
checksum, and the TIFF's offsets point past the header: readers of TIFF never look between tiles.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import tifffile

from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images.tile_index import MAX_DIRECTORIES, frame_header, level_pages, masked_crc, read_index

TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
TILE_OFFSETS, TILE_BYTES, STRIP_OFFSETS, STRIP_BYTES = 324, 325, 273, 279
SUBIFDS, JPEG_TABLES = 330, 347
# Pointers to directories of metadata, and to data of old-style JPEG: what they point at is not copied.
DROPPED = (34665, 34853, 40965, 513, 514, 288, 289)
LONG8, IFD8 = 16, 18
MAX_VALUE_BYTES = 1 << 30
MAX_GAP_BYTES = 4096


@dataclass
class _Directory:
    """One image file directory, read: its entries and where its tiles or strips lie."""

    entries: dict[int, tuple[int, int, bytes]]  # tag → type, count, value
    starts: list[int]
    lengths: list[int]
    offsets_tag: int
    tables: bytes = b""  # if set, joined to each JPEG tile
    children: list[_Directory] = field(default_factory=list)


def frame(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    progress: Callable[[float], None] | None = None,
) -> TileIndex:
    """Writes a framed copy of a pyramid TIFF.

    Args:
      source: Any tiled TIFF or BigTIFF whose encoding :func:`tfvs.images.tile_index.read_index` accepts.
      destination: Where the framed file goes; it appears there whole or not at all.
      progress: Called with the fraction of the bytes copied.

    Returns:
      The index of the framed file.

    Raises:
      ImageError: The source cannot be read; tiles that overlap so much that the copy would be far larger.
    """
    source, destination = Path(source), Path(destination)
    temporary = destination.with_name(f".{destination.name}.{uuid.uuid4().hex}.part")
    try:
        copy_framed(source, temporary, progress)
        index = read_index(temporary)
        if not index.framed:
            raise ImageError("The framed file did not verify", received=str(destination), mend="Check the disk")
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)
    return index


def copy_framed(source: Path, destination: Path, progress: Callable[[float], None] | None = None) -> None:
    """Writes the framed copy itself, without verifying or renaming it.

    Raises:
      ImageError: See :func:`frame`.
    """
    try:
        with tifffile.TiffFile(source) as tiff, open(source, "rb") as file:
            directories = _read(tiff, file, source)
            order = tiff.byteorder
            source_bytes = os.path.getsize(source)
            total = sum(_total(directory) for directory in directories)
            if total > 4 * source_bytes:
                raise ImageError(
                    "The tiles overlap: a copy would be far larger than the source",
                    expected=f"at most {4 * source_bytes} bytes of tiles",
                    received=f"{total} in {source}",
                )
            with open(destination, "wb", buffering=1 << 20) as out:
                _write(directories, file, out, order, _Progress(progress, total))
    except (ImageError, OSError):
        raise
    except Exception as error:  # whatever a damaged directory makes the parser raise
        raise ImageError("The TIFF's directories cannot be read", received=f"{source}: {error}"[:400]) from error


class _Progress:
    def __init__(self, report: Callable[[float], None] | None, total: int) -> None:
        self._report, self._total, self._done, self._told = report, max(total, 1), 0, 0.0

    def add(self, count: int) -> None:
        self._done += count
        fraction = self._done / self._total
        if self._report and (fraction - self._told >= 0.01 or fraction >= 1):
            self._told = fraction
            self._report(fraction)


def _read(tiff: tifffile.TiffFile, file: BinaryIO, source: Path) -> list[_Directory]:
    levels = level_pages(tiff, str(source))
    tables = {page.jpegtables for page in levels}
    own_tables = {id(page) for page in levels} if len(tables) > 1 else set()
    pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    if len(pages) > MAX_DIRECTORIES:
        raise ImageError("The TIFF has too many directories", expected=MAX_DIRECTORIES, received=len(pages))
    return [_read_directory(page, file, own_tables) for page in pages]


def _read_directory(page: tifffile.TiffPage, file: BinaryIO, own_tables: set[int]) -> _Directory:
    entries: dict[int, tuple[int, int, bytes]] = {}
    for tag in page.tags:
        code, kind = int(tag.code), int(tag.dtype)
        size = TYPE_BYTES[kind] * tag.count
        if code in DROPPED or code == SUBIFDS:
            continue
        if size > MAX_VALUE_BYTES:
            raise ImageError("A TIFF tag is too large", received=f"tag {code}, {size} bytes")
        entries[code] = (kind, tag.count, _read_at(file, tag.valueoffset, size, f"TIFF tag {code}"))
    directory = _Directory(
        entries,
        [int(start) for start in page.dataoffsets],
        [int(length) for length in page.databytecounts],
        TILE_OFFSETS if TILE_OFFSETS in entries else STRIP_OFFSETS,
    )
    if len(directory.starts) != len(directory.lengths):
        raise ImageError("A directory's tiles and sizes differ in number", received=len(directory.lengths))
    if id(page) in own_tables and page.jpegtables:
        directory.tables = page.jpegtables[:-2]
        del entries[JPEG_TABLES]
    if page.subifds:
        children = [child for child in page.pages or () if isinstance(child, tifffile.TiffPage)]
        directory.children = [_read_directory(child, file, own_tables) for child in children]
    return directory


def _total(directory: _Directory) -> int:
    return sum(directory.lengths) + sum(_total(child) for child in directory.children)


def _write(directories: list[_Directory], file: BinaryIO, out: BinaryIO, order: str, progress: _Progress) -> None:
    mark = b"II" if order == "<" else b"MM"
    out.write(mark + struct.pack(f"{order}HHHQ", 43, 8, 0, 0))
    if directories:
        out.write(bytes(_gap(directories[0], file)))
    link = 8
    for directory in directories:
        here, next_link = _write_directory(directory, file, out, order, progress)
        end = out.tell()
        out.seek(link)
        out.write(struct.pack(f"{order}Q", here))
        out.seek(end)
        link = next_link


def _gap(directory: _Directory, file: BinaryIO) -> int:
    """Bytes to leave out before the first tile.

    Tiles of images that differ little may have the same lengths, uncompressed ones always have. The gap, which depends
    on what the tiles hold, makes their places differ, so that an index of the file does not fit one that replaced it.
    """
    check = 0
    for start, length in zip(directory.starts, directory.lengths, strict=True):
        if length:
            check = google_crc32c.extend(check, _read_at(file, start, length, "A tile"))
    return check % MAX_GAP_BYTES


def _read_at(file: BinaryIO, start: int, length: int, what: str) -> bytes:
    if not 0 <= start <= os.fstat(file.fileno()).st_size - length:
        raise ImageError(f"{what} lies beyond the end of the file", received=f"{length} bytes at {start}")
    file.seek(start)
    return file.read(length)


def _write_directory(
    directory: _Directory, file: BinaryIO, out: BinaryIO, order: str, progress: _Progress
) -> tuple[int, int]:
    entries = dict(directory.entries)
    starts, lengths = _copy_tiles(directory, file, out, progress)
    count = len(starts)
    if count:
        entries[directory.offsets_tag] = (LONG8, count, struct.pack(f"{order}{count}Q", *starts))
        sizes_tag = TILE_BYTES if directory.offsets_tag == TILE_OFFSETS else STRIP_BYTES
        entries[sizes_tag] = (LONG8, count, struct.pack(f"{order}{count}Q", *lengths))
    children = [_write_directory(child, file, out, order, progress)[0] for child in directory.children]
    if children:
        entries[SUBIFDS] = (IFD8, len(children), struct.pack(f"{order}{len(children)}Q", *children))
    table = b""
    for code, (kind, number, value) in sorted(entries.items()):
        if len(value) > 8:
            position = out.tell()
            out.write(value)
            value = struct.pack(f"{order}Q", position)
        table += struct.pack(f"{order}HHQ", code, kind, number) + value.ljust(8, b"\0")
    here = out.tell()
    out.write(struct.pack(f"{order}Q", len(entries)) + table)
    link = out.tell()
    out.write(bytes(8))
    return here, link


def _copy_tiles(
    directory: _Directory, file: BinaryIO, out: BinaryIO, progress: _Progress
) -> tuple[list[int], list[int]]:
    starts, lengths = [], []
    position = out.tell()
    for start, length in zip(directory.starts, directory.lengths, strict=True):
        if length == 0:  # a sparse file leaves this tile out
            starts.append(0)
            lengths.append(0)
            continue
        tile = _read_at(file, start, length, "A tile")
        if directory.tables:
            tile = directory.tables + tile[2:]
        out.write(frame_header(len(tile)))
        out.write(tile)
        out.write(struct.pack("<I", masked_crc(tile)))
        starts.append(position + 12)
        lengths.append(len(tile))
        position += len(tile) + 16
        progress.add(length)
    return starts, lengths
