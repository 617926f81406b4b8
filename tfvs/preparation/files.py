"""Files on this machine, and on others by URI where something reads these. No path is ever taken for a pattern."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from tfvs.errors import ResourceError
from tfvs.paths import require_literal
from tfvs.preparation import hdf5

_CHUNK = 1 << 20
_URI = re.compile(r"([a-zA-Z][-a-zA-Z0-9+.]*)://.*", re.DOTALL)


class RemoteFiles(Protocol):
    """Files that URIs name; paths are literal, bytes as they are."""

    def knows(self, uri: str) -> bool:
        """Whether URIs of this scheme can be read."""

    def open_read(self, uri: str) -> IO[bytes]:
        """Opens a file to read."""

    def create(self, uri: str) -> IO[bytes]:
        """Opens a new file to write."""

    def exists(self, uri: str) -> bool:
        """Whether there is such a file or folder."""

    def state(self, uri: str) -> tuple[int, float]:
        """Size in bytes and time of change."""

    def below(self, prefix: str) -> Iterator[str]:
        """URIs of all files whose URI begins so."""

    def rename(self, source: str, destination: str) -> None:
        """Moves a file."""

    def delete(self, uris: list[str]) -> None:
        """Removes files."""

    def join(self, uri: str, *parts: str) -> str:
        """A path below another."""


_remote: RemoteFiles | None = None


def use_remote(remote: RemoteFiles) -> None:
    """Sets what reads and writes files that URIs name; importing :mod:`components` does, with Beam's file systems."""
    global _remote
    _remote = remote


def remote() -> RemoteFiles:
    """What reads and writes files that URIs name.

    Raises:
      ResourceError: There is nothing that does.
    """
    if _remote is None:
        raise ResourceError(
            "Files that URIs name are read with Apache Beam",
            mend="pip install 'tfvs[tfx]' and use python -m components.prepare, or give a path on this machine",
        )
    return _remote


def scheme(uri: str) -> str | None:
    """``"gs"`` in ``gs://bucket/name``; None for paths on this machine."""
    found = _URI.fullmatch(uri)
    return found.group(1) if found else None


def is_local(uri: str) -> bool:
    """Whether a path lies on this machine's file systems."""
    return scheme(uri) is None


def can_read(uri: str) -> bool:
    """Whether a path is one of this machine, or of a scheme that something reads."""
    return is_local(uri) or (_remote is not None and _remote.knows(uri))


def join(uri: str, *parts: str) -> str:
    """A path below another, as its file system has it."""
    return os.path.join(uri, *parts) if is_local(uri) else remote().join(uri, *parts)


def open_read(uri: str) -> IO[bytes]:
    """The file's bytes as they are, never decompressed; those of an image in an HDF5 file as a PNG."""
    if hdf5.is_member(uri):
        return io.BytesIO(hdf5.read_png(uri))
    return open(uri, "rb") if is_local(uri) else remote().open_read(uri)


def exists(uri: str) -> bool:
    """Whether there is such a file or folder."""
    return os.path.exists(uri) if is_local(uri) else remote().exists(uri)


@contextlib.contextmanager
def local_copy(uri: str) -> Iterator[tuple[str, str]]:
    """A copy of the file on this machine, and its sha256; a remote file is streamed into a temporary one."""
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
    part = join(os.path.dirname(uri), f".{uuid.uuid4().hex}.part")
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
    with remote().create(part) as file:
        yield file
    if remote().exists(uri):
        remote().delete([uri])
    remote().rename(part, uri)


def move(source: str, destination: str) -> None:
    """Moves a file within one file system; what has the destination's name is replaced.

    Raises:
      ConfigError: A path on a remote file system holds a pattern's characters.
    """
    if is_local(source):
        Path(destination).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, destination)
        return
    for uri in (source, destination):
        require_literal(uri, "The path of a remote file")
    remote().rename(source, destination)


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
      root: The folder, taken as it is, brackets included.
      depth: How many parts at most; None: any number.
    """
    if is_local(root):
        yield from _local_below(root, (), depth, frozenset())
        return
    prefix = root.rstrip("/") + "/"
    for uri in remote().below(prefix):
        parts = tuple(uri[len(prefix) :].strip("/").split("/"))
        if uri.startswith(prefix) and all(parts) and (depth is None or len(parts) <= depth):
            yield parts, uri


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
    """Size in bytes and time of change; None where there is no such file. HDF5 files change as a whole."""
    if hdf5.is_member(uri):
        return state(hdf5.split_member(uri)[0])
    if not exists(uri):
        return None
    if is_local(uri):
        found = os.stat(uri)
        return found.st_size, found.st_mtime_ns
    return remote().state(uri)


def delete(uris: list[str]) -> None:
    """Removes files; those that are not there are passed over.

    Raises:
      ConfigError: A path on a remote file system, whose deletion goes by pattern, holds a pattern's characters.
    """
    for uri in uris:
        if is_local(uri):
            Path(uri).unlink(missing_ok=True)
    others = [require_literal(uri, "The path of a remote file") for uri in uris if not is_local(uri) and exists(uri)]
    if others:
        remote().delete(others)
