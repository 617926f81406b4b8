"""Files on any of Beam's file systems: local paths and buckets alike. No path is ever taken for a pattern."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfvs.paths import require_literal

_CHUNK = 1 << 20


def is_local(uri: str) -> bool:
    """Whether a path lies on this machine's file systems."""
    return FileSystems.get_scheme(uri) is None


def open_read(uri: str) -> IO[bytes]:
    """The file's bytes as they are, never decompressed."""
    if is_local(uri):
        return open(uri, "rb")
    return FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)


def exists(uri: str) -> bool:
    """Whether there is such a file or folder."""
    return os.path.exists(uri) if is_local(uri) else FileSystems.exists(uri)


@contextlib.contextmanager
def local_copy(uri: str) -> Iterator[tuple[str, str]]:
    """The file on this machine, and its sha256; a remote one is streamed into a temporary file."""
    digest = hashlib.sha256()
    if is_local(uri):
        with open(uri, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        yield uri, digest.hexdigest()
        return
    with tempfile.NamedTemporaryFile(suffix=os.path.splitext(uri)[1]) as copy, open_read(uri) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        yield copy.name, digest.hexdigest()


@contextlib.contextmanager
def atomic_write(uri: str) -> Iterator[IO[bytes]]:
    """A file that appears under its name when the block ends well, and not at all otherwise."""
    part = FileSystems.join(os.path.dirname(uri), f".{uuid.uuid4().hex}.part")
    if is_local(uri):
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                yield file
            os.replace(part, uri)
        finally:
            Path(part).unlink(missing_ok=True)
        return
    require_literal(uri, "The path of a remote file")
    with FileSystems.create(part, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        yield file
    if FileSystems.exists(uri):
        FileSystems.delete([uri])
    FileSystems.rename([part], [uri])


def upload(path: str, uri: str) -> None:
    """Copies a local file to where it belongs."""
    with open(path, "rb") as file, atomic_write(uri) as target:
        shutil.copyfileobj(file, target, _CHUNK)


def download(uri: str, path: str) -> None:
    """Copies a file to this machine."""
    with open_read(uri) as source, open(path, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def below(root: str, depth: int | None = None) -> Iterator[tuple[tuple[str, ...], str]]:
    """Everything below a folder that is no folder itself: parts of its path below the root, and its path or URI.

    Links are followed, each folder once on the way down; a link that leads nowhere is listed like a file.

    Args:
      root: The folder, taken as it is, brackets and all.
      depth: How many parts at most; None: any number.
    """
    if is_local(root):
        yield from _local_below(root, (), depth, frozenset())
        return
    prefix = root.rstrip("/") + "/"
    filesystem: Any = FileSystems.get_filesystem(prefix)
    for entry in filesystem._list(prefix):  # what Beam's own matching calls, without a pattern
        parts = tuple(entry.path[len(prefix) :].strip("/").split("/"))
        if entry.path.startswith(prefix) and all(parts) and (depth is None or len(parts) <= depth):
            yield parts, entry.path


def _local_below(
    folder: str, parts: tuple[str, ...], depth: int | None, above: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    real = os.path.realpath(folder)
    if real in above or not os.path.isdir(folder) or (depth is not None and len(parts) >= depth):
        return
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _local_below(path, (*parts, name), depth, above | {real})
        else:
            yield (*parts, name), path


def match(root: str, pattern: str) -> list[str]:
    """Files below a root whose path below it matches, part by part, sorted; the root itself is no pattern."""
    wanted = pattern.split("/")
    return sorted(
        uri
        for parts, uri in below(root, len(wanted))
        if len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
    )


def state(uri: str) -> tuple[int, float] | None:
    """Size in bytes and time of change; None where there is no such file."""
    if not exists(uri):
        return None
    if is_local(uri):
        found = os.stat(uri)
        return found.st_size, found.st_mtime_ns
    filesystem: Any = FileSystems.get_filesystem(uri)  # its annotation names another class
    metadata = filesystem.metadata(uri)
    return metadata.size_in_bytes, metadata.last_updated_in_seconds


def delete(uris: list[str]) -> None:
    """Removes files; those that are not there are no matter.

    Raises:
      ConfigError: A path on a remote file system, whose deletion goes by pattern, holds a pattern's characters.
    """
    for uri in uris:
        if is_local(uri):
            Path(uri).unlink(missing_ok=True)
    remote = [require_literal(uri, "The path of a remote file") for uri in uris if not is_local(uri) and exists(uri)]
    if remote:
        FileSystems.delete(remote)
