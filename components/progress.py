"""How far a job is: workers write it where the output goes, which they share with the launcher; it can fail nothing.

Each worker keeps one file with a short digest of the id of every image that it has done, and writes it anew now and
then. The launcher counts different digests, so an image that is done again after a failure is counted once.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from tfvs.preparation import files

_DIGEST_BYTES = 8
_LISTED = "listed"


def period_s(folder: str) -> float:
    """How often workers write and the launcher reads, seconds: seldom where each costs a request."""
    return 0.5 if files.is_local(folder) else 10.0


class Done:
    """What one worker has done.

    Args:
      folder: The folder for files of progress.
    """

    def __init__(self, folder: str) -> None:
        self._path = files.join(folder, f"{uuid.uuid4().hex}.done")
        self._period_s = period_s(folder)
        self._digests = bytearray()
        self._written_at = time.monotonic()

    def add(self, image_id: str) -> None:
        """Counts an image."""
        self._digests += hashlib.sha256(image_id.encode("utf-8", "surrogatepass")).digest()[:_DIGEST_BYTES]
        if time.monotonic() - self._written_at >= self._period_s:
            _write(self._path, bytes(self._digests))
            self._written_at = time.monotonic()


def write_listed(folder: str, count: int) -> None:
    """Tells how many images there are, when all are listed."""
    _write(files.join(folder, _LISTED), str(count).encode())


@contextlib.contextmanager
def shown(folder: str, show: Callable[[int, int], None] | None) -> Iterator[None]:
    """Shows in a thread of its own how far the job is, until the block ends.

    Args:
      folder: The folder for files of progress.
      show: Called with the numbers of images that are done and that are listed; None: nothing is shown.
    """
    if show is None:
        yield
        return
    stopped, reader = threading.Event(), _Reader(folder)

    def watch() -> None:
        while not stopped.wait(period_s(folder)):
            with contextlib.suppress(Exception):  # the next reading may succeed; a job needs none
                show(*reader.read())

    watcher = threading.Thread(target=watch, daemon=True, name="progress")
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()


class _Reader:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._done: set[bytes] = set()
        self._read_to: dict[str, int] = {}
        self._listed = 0

    def read(self) -> tuple[int, int]:
        """Numbers of images that are done and that are listed, as far as they are told."""
        for (name,), uri in files.below(self._folder, 1):
            if name == _LISTED:
                self._listed = self._listed or int(files.read(uri))
            elif name.endswith(".done"):
                data, start = files.read(uri), self._read_to.get(name, 0)
                self._done.update(data[i : i + _DIGEST_BYTES] for i in range(start, len(data), _DIGEST_BYTES))
                self._read_to[name] = len(data)
        return len(self._done), max(self._listed, len(self._done))


def _write(uri: str, data: bytes) -> None:
    with contextlib.suppress(Exception), files.atomic_write(uri) as file:
        file.write(data)
