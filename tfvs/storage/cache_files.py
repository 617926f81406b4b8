"""Files of the cache of tiles: on the disk, or in this process's memory where the disk has no room."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tfvs.errors import ResourceError

Part = tuple[int, bytes]  # where it begins in its file, and what is there


@contextlib.contextmanager
def kept_below(folder: Path) -> Iterator[None]:
    """One sentence where what is read cannot be kept in a folder of the cache.

    Raises:
      ResourceError: It cannot be written there.
    """
    try:
        yield
    except OSError as error:
        raise ResourceError(
            "What is read from object storage cannot be kept on this machine",
            received=f"{folder}: {error.strerror or error}",
            mend="Free space there, or set TFVS_CACHE_FOLDER to a folder with room and TFVS_CACHE_GB to its size",
        ) from error


def has_room(write: Callable[[], None]) -> bool:
    """Writes, and says whether the disk had room for it; False only where memory can serve instead."""
    try:
        write()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and hasattr(os, "memfd_create"):
            return False
        raise
    return True


def write_parts(path: Path, parts: Sequence[Part]) -> None:
    """Writes parts into a sparse file, which is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for offset, data in parts:
            if os.pwrite(file, data, offset) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that appears under its name when all of it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def files_below(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, bytes on the disk and path of every file."""
    for path in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime, found.st_blocks * 512, path


class MemoryFiles:
    """Sparse files without a disk, each closed after so many further calls.

    Args:
      calls: How many.
    """

    def __init__(self, calls: int) -> None:
        self._calls, self._open = calls, deque[list[int]]()
        self._lock = threading.Lock()

    def write(self, files: Iterable[Iterable[Part]]) -> list[str]:
        """Paths of files with these parts, one per file, which this process can open."""
        numbers = []
        for parts in files:
            numbers.append(os.memfd_create("tiles"))
            for offset, data in parts:
                os.pwrite(numbers[-1], data, offset)
        with self._lock:
            self._open.append(numbers)
            old = self._open.popleft() if len(self._open) > self._calls else []
        for number in old:
            os.close(number)
        return [f"/proc/self/fd/{number}" for number in numbers]
