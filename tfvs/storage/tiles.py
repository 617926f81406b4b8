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
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tfvs.errors import ImageError, ResourceError
from tfvs.images.tiff.frames import FOOTER_BYTES, HEADER_BYTES, frame_header, masked_crc
from tfvs.paths import is_local
from tfvs.storage.objects import NoAnswerError, ObjectFiles, storage

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
        self._pool = ThreadPoolExecutor(objects.options.concurrent, thread_name_prefix="tiles")
        self._lock = threading.Lock()
        self._known: OrderedDict[Path, set[Tile]] = OrderedDict()
        self._in_use: deque[frozenset[Path]] = deque(maxlen=CALLS_IN_USE)
        self._size: int | None = None
        self.lost: dict[str, str] = {}

    def hold(self, images: Sequence[Wanted]) -> list[str]:
        """Paths of files here that hold what is needed; a local file's own; "" for an image that cannot be read.

        Whatever is missing of all images is asked for at the same time, neighbouring tiles by one request.

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
        fetches: list[tuple[str, Future[None]]] = []
        try:
            for image, path in remote:
                if not image.tiles:
                    if not self._is_here(path):
                        fetches.append((image.uri, self._pool.submit(self._fetch_whole, image, path)))
                    continue
                for run in _runs(self._missing(image, path)):
                    fetches.append((image.uri, self._pool.submit(self._fetch_run, image.uri, path, run)))
        except OSError as error:
            raise self._no_room(error) from error
        failed: set[str] = set()
        unforeseen: list[BaseException] = []
        for uri, future in fetches:
            failure = future.exception()
            if isinstance(failure, FileNotFoundError | ImageError | NoAnswerError):
                failed.add(uri)
                self._lose(uri, str(failure))
            elif failure is not None:
                unforeseen.append(failure)
        if unforeseen:
            raise self._no_room(unforeseen[0]) if isinstance(unforeseen[0], OSError) else unforeseen[0]
        if fetches:
            self._make_room()
        return [
            image.uri if path is None else "" if image.uri in failed else str(path)
            for image, path in zip(images, paths, strict=True)
        ]

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

    def _fetch_run(self, uri: str, path: Path, run: list[Tile]) -> None:
        start = run[0].offset
        data = self._objects.read_range(uri, start, run[-1].end - start)
        if not all(tile.is_in(data[tile.offset - start : tile.end - start]) for tile in run):
            raise ImageError("A tile is not what the index says", received=uri, mend="Prepare the image again")
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.pwrite(file, data, start) != len(data):
                raise OSError("the file took a part of a tile alone")
        finally:
            os.close(file)
        with self._lock:
            self._known.setdefault(path, set()).update(run)
            self._grow(len(data) + BLOCK_BYTES)

    def _fetch_whole(self, image: Wanted, path: Path) -> None:
        data = self._objects.read_range(image.uri, 0, image.file_bytes)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._grow(len(data) + BLOCK_BYTES)

    def _grow(self, count: int) -> None:
        if self._size is not None:
            self._size += count

    def _make_room(self) -> None:
        """Removes the files that were used longest ago, where there is more than the limit."""
        with self._lock:
            if self._size is not None and self._size <= self._limit:
                return
            in_use = frozenset().union(*self._in_use)
            found = sorted(_files_below(self._folder))
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

    def _lose(self, uri: str, why: str) -> None:
        if uri not in self.lost:
            self.lost[uri] = why
            if len(self.lost) <= MAX_NAMED:
                _log.warning("An image cannot be read and is left out: %s", why)

    def _no_room(self, error: OSError) -> ResourceError:
        return ResourceError(
            "Tiles cannot be kept on this machine",
            received=f"{self._folder}: {error.strerror or error}",
            mend="Free space there, or set TFVS_CACHE_FOLDER to a folder with room and TFVS_CACHE_GB to its size",
        )


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


def _files_below(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, bytes on the disk and path of every file."""
    for path in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime, found.st_blocks * 512, path


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
