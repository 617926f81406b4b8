"""Tiles of pyramids in object storage, held in sparse files here; all that are missing are asked for at once.

A pyramid's file here has the offsets of the object, and holes where no tile was asked for yet. Each tile is a record
with its own checksums, so a file says of itself what it holds, also to another process and after a crash: a hole or
half a tile is no valid record, and is asked for again. The system keeps what is hot in memory. Objects are taken as
never changing, as pyramids by content never do.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tfvs.errors import ImageError
from tfvs.images.tiff.frames import FOOTER_BYTES, HEADER_BYTES, frame_header, masked_crc
from tfvs.paths import is_local
from tfvs.storage.cache_files import MemoryFiles, Part, files_below, has_room, kept_below, write_parts, write_whole
from tfvs.storage.objects import PARALLEL, NoAnswerError, ObjectFiles, storage

FOLDER = "tiles"
# Files of so many calls are not removed to make room: the graph may be about to read them.
CALLS_IN_USE = 8
MAX_KNOWN = 100_000  # files of which this process remembers what they hold
MAX_NAMED = 100  # lost images that the log names
ROOM_LEFT = 0.9  # of the limit, once room was made
BLOCK_BYTES = 4096

_log = logging.getLogger("tfvs.storage")


@dataclass(frozen=True, order=True)
class Tile:
    """One tile with its frame: where its record begins in the file, and the bytes of the tile itself."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Where its record ends."""
        return self.offset + HEADER_BYTES + self.length + FOOTER_BYTES

    def is_in(self, data: bytes) -> bool:
        """Whether these bytes are its record, by length and checksums."""
        body = data[HEADER_BYTES:-FOOTER_BYTES]
        return (
            len(body) == self.length
            and data[:HEADER_BYTES] == frame_header(self.length)
            and data[-FOOTER_BYTES:] == masked_crc(body).to_bytes(FOOTER_BYTES, "little")
        )


@dataclass
class Wanted:
    """What is needed of one image.

    Attributes:
      uri: Path or URI of its file.
      file_bytes: Size of the file.
      tiles: Its tiles with frames; none for a file without frames, which is needed whole.
    """

    uri: str
    file_bytes: int
    tiles: list[Tile] = field(default_factory=list)


class TileCache:
    """Brings tiles here, and keeps what is here below a size.

    Args:
      objects: Reads the storage, and has the options.

    Attributes:
      lost: URI → why, of images that could not be read.
    """

    def __init__(self, objects: ObjectFiles) -> None:
        self._objects = objects
        self._folder = objects.options.folder / FOLDER
        self._limit = int(objects.options.cache_gb * 1e9)
        self._pool = ThreadPoolExecutor(objects.options.concurrent // PARALLEL, thread_name_prefix="tiles")
        self._lock = threading.Lock()
        self._known: OrderedDict[Path, set[Tile]] = OrderedDict()
        self._in_use: deque[frozenset[Path]] = deque(maxlen=CALLS_IN_USE)
        self._size: int | None = None
        self._memory = MemoryFiles(CALLS_IN_USE)
        self._is_told = False
        self.lost: dict[str, str] = {}

    def hold(self, images: Sequence[Wanted]) -> list[str]:
        """Paths of files here that hold what is needed; a local file's own; "" for an image that cannot be read.

        Whatever is missing of all images is asked for at the same time, neighbouring tiles by one request. Where the
        disk is full, files of this call lie in memory.

        Args:
          images: What is needed, one per image.

        Raises:
          RefusedError: The storage refuses, whatever the image.
          ResourceError: The cache cannot be written.
        """
        paths = [None if is_local(image.uri) else self._path(image) for image in images]
        remote = [(image, path) for image, path in zip(images, paths, strict=True) if path is not None]
        with self._lock:
            self._in_use.append(frozenset(path for _, path in remote))
        with kept_below(self._folder):
            fetches = self._start(remote)
            failed, without_room = self._finish(fetches)
            beside = self._in_memory(remote, without_room)
        if fetches:
            self._make_room()
        return [
            image.uri if path is None else "" if image.uri in failed else beside.get(path, str(path))
            for image, path in zip(images, paths, strict=True)
        ]

    def _start(self, images: Sequence[tuple[Wanted, Path]]) -> list[tuple[str, Path, Future[list[Part]]]]:
        """Asks for whatever is missing."""
        fetches = []
        for image, path in images:
            if not image.tiles:
                if not self._is_here(path):
                    fetches.append((image.uri, path, self._pool.submit(self._fetch_whole, image, path)))
                continue
            runs = list(_runs(self._missing(image, path)))
            for first in range(0, len(runs), PARALLEL):
                some = runs[first : first + PARALLEL]
                fetches.append((image.uri, path, self._pool.submit(self._fetch_runs, image.uri, path, some)))
        return fetches

    def _finish(
        self, fetches: Sequence[tuple[str, Path, Future[list[Part]]]]
    ) -> tuple[set[str], dict[Path, list[Part]]]:
        """Waits for all: URIs of the images that cannot be read, and what the disk has no room for."""
        failed: set[str] = set()
        without_room: dict[Path, list[Part]] = {}
        unforeseen: list[BaseException] = []
        for uri, path, future in fetches:
            failure = future.exception()
            if isinstance(failure, FileNotFoundError | ImageError | NoAnswerError):
                failed.add(uri)
                self._lose(uri, str(failure))
            elif failure is not None:
                unforeseen.append(failure)
            elif parts := future.result():
                without_room.setdefault(path, []).extend(parts)
        if unforeseen:
            raise unforeseen[0]
        return failed, without_room

    def _path(self, image: Wanted) -> Path:
        digest = hashlib.sha256(f"{image.file_bytes} {image.uri}".encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / digest[:2] / (digest + (".tiles" if image.tiles else ".whole"))

    def _is_here(self, path: Path) -> bool:
        """Whether there is such a file; its time becomes that of its last use."""
        try:
            os.utime(path)
        except FileNotFoundError:
            with self._lock:
                self._known.pop(path, None)
            return False
        return True

    def _missing(self, image: Wanted, path: Path) -> list[Tile]:
        wanted = sorted(set(image.tiles))
        if not self._is_here(path):
            return wanted
        with self._lock:
            known = self._known.setdefault(path, set())
            self._known.move_to_end(path)
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        unknown = [tile for tile in wanted if tile not in known]
        if not unknown:
            return []
        with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
            for tile in unknown:
                if tile.is_in(os.pread(file.fileno(), tile.end - tile.offset, tile.offset)):
                    known.add(tile)
        return [tile for tile in unknown if tile not in known]

    def _fetch_runs(self, uri: str, path: Path, runs: list[list[Tile]]) -> list[Part]:
        """Brings runs of tiles, and gives those back that the disk has no room for."""
        starts = [run[0].offset for run in runs]
        lengths = [run[-1].end - start for run, start in zip(runs, starts, strict=True)]
        data = self._objects.read_ranges(uri, list(zip(starts, lengths, strict=True)))
        for run, start, found in zip(runs, starts, data, strict=True):
            if not all(tile.is_in(found[tile.offset - start : tile.end - start]) for tile in run):
                raise ImageError("A tile is not what the index says", received=uri, mend="Prepare the image again")
        parts = list(zip(starts, data, strict=True))
        if not has_room(lambda: write_parts(path, parts)):
            return parts
        with self._lock:
            self._known.setdefault(path, set()).update(*runs)
            self._grow(sum(lengths) + BLOCK_BYTES * len(runs))
        return []

    def _fetch_whole(self, image: Wanted, path: Path) -> list[Part]:
        (data,) = self._objects.read_ranges(image.uri, [(0, image.file_bytes)])
        if not has_room(lambda: write_whole(path, data)):
            return [(0, data)]
        with self._lock:
            self._grow(len(data) + BLOCK_BYTES)
        return []

    def _in_memory(
        self, images: Sequence[tuple[Wanted, Path]], without_room: dict[Path, list[Part]]
    ) -> dict[Path, str]:
        """Files in memory with what the disk has no room for and what it holds of the same images."""
        if not without_room:
            return {}
        self._keep_half()
        for image, path in images:
            if path not in without_room:
                continue
            with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
                for tile in image.tiles:
                    held = os.pread(file.fileno(), tile.end - tile.offset, tile.offset)
                    if tile.is_in(held):
                        without_room[path].append((tile.offset, held))
        return dict(zip(without_room, self._memory.write(without_room.values()), strict=True))

    def _grow(self, count: int) -> None:
        if self._size is not None:
            self._size += count

    def _make_room(self) -> None:
        """Removes the files that were used longest ago, where there is more than the limit."""
        with self._lock:
            if self._size is not None and self._size <= self._limit:
                return
            in_use = frozenset().union(*self._in_use)
            found = sorted(files_below(self._folder))
            self._size = sum(size for _, size, _ in found)
            if self._size <= self._limit:
                return
            for _, size, path in found:
                if self._size <= ROOM_LEFT * self._limit:
                    break
                if path not in in_use:
                    path.unlink(missing_ok=True)
                    self._known.pop(path, None)
                    self._size -= size

    def _keep_half(self) -> None:
        """From now on the cache keeps half of what it has, for the disk is full."""
        with self._lock:
            held = sum(size for _, size, _ in files_below(self._folder))
            self._limit, self._size = held // 2, None
        if not self._is_told:
            self._is_told = True
            _log.warning("The disk of %s is full: tiles that it has no room for are asked for again", self._folder)

    def _lose(self, uri: str, why: str) -> None:
        if uri not in self.lost:
            self.lost[uri] = why
            if len(self.lost) <= MAX_NAMED:
                _log.warning("An image cannot be read and is left out: %s", why)


def _runs(tiles: Sequence[Tile]) -> Iterator[list[Tile]]:
    """Tiles that follow one another without a gap."""
    run: list[Tile] = []
    for tile in tiles:
        if run and run[-1].end != tile.offset:
            yield run
            run = []
        run.append(tile)
    if run:
        yield run


_cache: tuple[ObjectFiles, TileCache] | None = None
_cache_lock = threading.Lock()


def lost_images() -> dict[str, str]:
    """URI → why, of the images that this process could not read."""
    return dict(_cache[1].lost) if _cache is not None else {}


def tile_cache() -> TileCache:
    """The cache of this process, for the storage as it is reached now."""
    global _cache
    with _cache_lock:
        objects = storage()
        if _cache is None or _cache[0] is not objects:
            _cache = objects, TileCache(objects)
        return _cache[1]
