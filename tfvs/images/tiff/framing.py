"""Framing: copying a pyramid TIFF so that every tile is also a TFRecord. Tiles are copied, never decoded.

The result is a BigTIFF of the source's byte order. Each tile is preceded by a TFRecord header and followed by its
checksum, and the TIFF's offsets point past the header: readers of TIFF never look between tiles.
"""

from __future__ import annotations

import contextlib
import os
import struct
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import tifffile

from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images.tiff.choice import MAX_DIRECTORIES
from tfvs.images.tiff.directories import (
    JPEG_TABLES,
    SUBIFDS,
    TILE_BYTES,
    TILE_OFFSETS,
    TYPE_BYTES,
    Directory,
    index_of,
    read_directories,
)
from tfvs.images.tiff.frames import frame_header, masked_crc
from tfvs.images.tiff.parsing import parsing
from tfvs.images.tiff.tile_index import level_pages, read_index, tile_lengths

STRIP_OFFSETS, STRIP_BYTES = 273, 279
# Pointers to directories of metadata, and to data of old-style JPEG: what they point at is not copied.
DROPPED = (34665, 34853, 40965, 513, 514, 288, 289)
LONG8, IFD8 = 16, 18
MAX_VALUE_BYTES = 1 << 30
MAX_GAP_BYTES = 4096


def frame(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    levels_only: bool = False,
    coarser: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> TileIndex:
    """Writes a framed copy of a pyramid TIFF.

    Args:
      source: Any tiled TIFF or BigTIFF whose encoding :func:`tfvs.images.tiff.tile_index.read_index` accepts.
      destination: Where the framed file goes; it appears there whole or not at all.
      levels_only: Whether labels, thumbnails and other directories that are no level are left out, so that the pages of
        the copy are the levels.
      coarser: A pyramid that libvips wrote from the coarsest level in its encoding: its own coarser levels are added.
      progress: Called with the fraction of the bytes copied.

    Returns:
      The index of the framed file.

    Raises:
      ImageError: The source cannot be read; tiles that overlap so much that the copy would be far larger.
    """
    source, destination = Path(source), Path(destination)
    temporary = destination.with_name(f".{uuid.uuid4().hex}.part")  # a name that fits wherever the file's own does
    try:
        with contextlib.ExitStack() as stack:
            added = [] if coarser is None else _coarser_levels(stack.enter_context(open(coarser, "rb")))
            _copy_framed(source, temporary, levels_only, added, progress)
        index = read_index(temporary)
        if not index.framed:
            raise ImageError("The framed file did not verify", received=str(destination), mend="Check the disk")
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)
    return index


def frame_own(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    progress: Callable[[float], None] | None = None,
) -> TileIndex:
    """Writes a framed copy of a pyramid that libvips wrote as a tiled BigTIFF whose directories are its levels.

    As :func:`frame`, quicker: nothing is read but what this copy takes, and the result is not read again. It does not
    appear at once: ``destination`` is a temporary name.

    Raises:
      ImageError: It is no such pyramid.
    """
    with open(source, "rb") as file:
        order, directories = read_directories(file)
        file_bytes = _write(directories, file, destination, order, progress)
    return index_of(directories, order, file_bytes)


def _coarser_levels(file: BinaryIO) -> list[Directory]:
    """All levels but the first, each JPEG tile with its own tables."""
    _, directories = read_directories(file)
    for directory in directories[1:]:
        directory.file = file
        if JPEG_TABLES in directory.entries:
            directory.tables = directory.entries.pop(JPEG_TABLES)[2][:-2]
    return directories[1:]


def _copy_framed(
    source: Path,
    destination: Path,
    levels_only: bool,
    added: list[Directory],
    progress: Callable[[float], None] | None,
) -> None:
    with parsing(os.fspath(source), OSError), tifffile.TiffFile(source) as tiff, open(source, "rb") as file:
        directories = [*_read(tiff, file, source, levels_only, bool(added)), *added]
        source_bytes = os.path.getsize(source)
        total = sum(_total(directory) for directory in directories)
        if total > 4 * source_bytes:
            raise ImageError(
                "The tiles overlap: a copy would be far larger than the source",
                expected=f"at most {4 * source_bytes} bytes of tiles",
                received=f"{total} in {source}",
            )
        _write(directories, file, destination, tiff.byteorder, progress)


class _Progress:
    def __init__(self, report: Callable[[float], None] | None, total: int) -> None:
        self._report, self._total, self._done, self._told = report, max(total, 1), 0, 0.0

    def add(self, count: int) -> None:
        self._done += count
        fraction = self._done / self._total
        if self._report and (fraction - self._told >= 0.01 or fraction >= 1):
            self._told = fraction
            self._report(fraction)


def _read(
    tiff: tifffile.TiffFile, file: BinaryIO, source: Path, levels_only: bool, each_its_tables: bool
) -> list[Directory]:
    levels = level_pages(tiff, str(source))
    tables = {page.jpegtables for page in levels}
    own_tables = {id(page) for page in levels} if len(tables) > 1 or each_its_tables else set()
    pages = levels if levels_only else [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    if len(pages) > MAX_DIRECTORIES:
        raise ImageError("The TIFF has too many directories", expected=MAX_DIRECTORIES, received=len(pages))
    return [_read_directory(page, file, own_tables) for page in pages]


def _read_directory(page: tifffile.TiffPage, file: BinaryIO, own_tables: set[int]) -> Directory:
    entries: dict[int, tuple[int, int, bytes]] = {}
    for tag in page.tags:
        code, kind = int(tag.code), int(tag.dtype)
        size = TYPE_BYTES[kind] * tag.count
        if code in DROPPED or code == SUBIFDS:
            continue
        if size > MAX_VALUE_BYTES:
            raise ImageError("A TIFF tag is too large", received=f"tag {code}, {size} bytes")
        entries[code] = (kind, tag.count, _read_at(file, tag.valueoffset, size, f"TIFF tag {code}"))
    directory = Directory(
        entries,
        [int(start) for start in page.dataoffsets],
        tile_lengths(page, str(file.name)).tolist() if page.is_tiled else [int(count) for count in page.databytecounts],
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


def _total(directory: Directory) -> int:
    return sum(directory.lengths) + sum(_total(child) for child in directory.children)


def _write(
    directories: list[Directory],
    file: BinaryIO,
    destination: str | os.PathLike[str],
    order: str,
    report: Callable[[float], None] | None,
) -> int:
    """Writes the framed copy; returns its size, bytes. From then on the directories say where the copy's tiles lie."""
    progress = _Progress(report, sum(_total(directory) for directory in directories))
    with open(destination, "wb", buffering=1 << 20) as out:
        out.write((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, 0))
        if directories:
            out.write(bytes(_gap(directories[0], file)))
        links, places = [8], []
        for directory in directories:
            here, link = _write_directory(directory, file, out, order, progress)
            places.append(here)
            links.append(link)
        file_bytes = out.tell()
        out.flush()
        for link, place in zip(links, places, strict=False):  # the last link stays 0
            os.pwrite(out.fileno(), struct.pack(f"{order}Q", place), link)
    return file_bytes


def _gap(directory: Directory, file: BinaryIO) -> int:
    """Bytes to leave out before the first tile.

    Tiles of images that differ little may have the same lengths, uncompressed ones always have. The gap, which depends
    on what the tiles hold, makes their places differ, so that an index of the file does not fit one that replaced it.
    """
    check = 0
    for start, length in zip(directory.starts, directory.lengths, strict=True):
        if length:
            check = google_crc32c.extend(check, _read_at(directory.file or file, start, length, "A tile"))
    return check % MAX_GAP_BYTES


def _read_at(file: BinaryIO, start: int, length: int, what: str) -> bytes:
    if not 0 <= start <= os.fstat(file.fileno()).st_size - length:
        raise ImageError(f"{what} lies beyond the end of the file", received=f"{length} bytes at {start}")
    return os.pread(file.fileno(), length, start)


def _write_directory(
    directory: Directory, file: BinaryIO, out: BinaryIO, order: str, progress: _Progress
) -> tuple[int, int]:
    entries = dict(directory.entries)
    directory.starts, directory.lengths = _copy_tiles(directory, file, out, progress)
    count = len(directory.starts)
    if count:
        entries[directory.offsets_tag] = (LONG8, count, struct.pack(f"{order}{count}Q", *directory.starts))
        sizes_tag = TILE_BYTES if directory.offsets_tag == TILE_OFFSETS else STRIP_BYTES
        entries[sizes_tag] = (LONG8, count, struct.pack(f"{order}{count}Q", *directory.lengths))
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
    directory: Directory, file: BinaryIO, out: BinaryIO, progress: _Progress
) -> tuple[list[int], list[int]]:
    starts, lengths = [], []
    position = out.tell()
    for start, length in zip(directory.starts, directory.lengths, strict=True):
        if length == 0:  # a sparse file leaves this tile out
            starts.append(0)
            lengths.append(0)
            continue
        tile = _read_at(directory.file or file, start, length, "A tile")
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
