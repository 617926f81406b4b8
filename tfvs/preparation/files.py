"""Files on this machine, and on others by URI where something reads these. No path is ever taken for a pattern."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from tfvs.errors import ConfigError, ImageError
from tfvs.paths import is_local, scheme
from tfvs.preparation import hdf5
from tfvs.storage.objects import EXTRAS, storage

_CHUNK = 1 << 20


class RemoteFiles(Protocol):
    """Files that URIs name; paths are literal, bytes as they are."""

    def knows(self, uri: str) -> bool:
        """Whether URIs of this scheme can be read."""

    def open_read(self, uri: str) -> IO[bytes]:
        """Opens a file to be read once, from its beginning."""

    def put(self, file: IO[bytes], uri: str) -> None:
        """Writes a file of this machine's; it appears whole under its name, or not at all."""

    def exists(self, uri: str) -> bool:
        """Whether there is such a file or folder."""

    def state(self, uri: str) -> tuple[int, float] | None:
        """Size in bytes and time of change; None where there is no such file."""

    def below(self, prefix: str) -> Iterator[str]:
        """URIs of all files whose URI begins so."""

    def move(self, source: str, destination: str) -> None:
        """Moves a file; what has the destination's name is replaced."""

    def delete(self, uris: list[str]) -> None:
        """Removes files; those that are not there are passed over."""


_others: RemoteFiles | None = None


def use_others(others: RemoteFiles) -> None:
    """Sets what reads and writes files of other schemes; importing :mod:`components` does, with Beam's file systems."""
    global _others
    _others = others


def remote(uri: str) -> RemoteFiles:
    """What reads and writes the file that a URI names.

    Raises:
      ConfigError: Its scheme is known to nothing.
    """
    if scheme(uri) in EXTRAS:
        return storage()
    if _others is None or not _others.knows(uri):
        raise ConfigError(
            f"Files by {scheme(uri)}:// cannot be read",
            expected=f"a path on this machine, or {', '.join(f'{kind}://' for kind in EXTRAS)}",
            received=uri,
            mend="Mend the scheme; python -m components.prepare also reads what Apache Beam has a file system for",
        )
    return _others


def can_read(uri: str) -> bool:
    """Whether a path is one of this machine, or of a scheme that something reads."""
    return is_local(uri) or scheme(uri) in EXTRAS or (_others is not None and _others.knows(uri))


def join(uri: str, *parts: str) -> str:
    """A path below another, as its file system has it."""
    return os.path.join(uri, *parts) if is_local(uri) else "/".join([uri.rstrip("/"), *parts])


def open_read(uri: str) -> IO[bytes]:
    """The file's bytes as they are, never decompressed; those of an image in an HDF5 file as a PNG."""
    if hdf5.is_member(uri):
        return io.BytesIO(hdf5.read_png(uri))
    return open(uri, "rb") if is_local(uri) else remote(uri).open_read(uri)


def read(uri: str) -> bytes:
    """The whole of :func:`open_read`."""
    with open_read(uri) as file:
        return file.read()


def exists(uri: str) -> bool:
    """Whether there is such a file or folder."""
    return os.path.exists(uri) if is_local(uri) else remote(uri).exists(uri)


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
def image_here(uri: str) -> Iterator[str]:
    """Path of an image on this machine: a local one's own, else that of a copy that is removed in the end.

    Raises:
      ImageError: There is no such image in the storage.
    """
    if is_local(uri):
        yield uri
        return
    with contextlib.ExitStack() as stack:
        try:
            path, _ = stack.enter_context(local_copy(uri))
        except FileNotFoundError as error:
            raise ImageError("There is no such image", received=uri, mend="Check the URI") from error
        yield path


@contextlib.contextmanager
def atomic_write(uri: str) -> Iterator[IO[bytes]]:
    """A file that appears under its name when the block ends well, and not at all otherwise."""
    if not is_local(uri):
        with tempfile.TemporaryFile() as file:
            yield file
            remote(uri).put(file, uri)
        return
    part = Path(uri).parent / f".{uuid.uuid4().hex}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(part, "wb") as file:
            yield file
        os.replace(part, uri)
    finally:
        part.unlink(missing_ok=True)


def move(source: str, destination: str) -> None:
    """Moves a file within one file system; what has the destination's name is replaced."""
    if is_local(source):
        Path(destination).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, destination)
        return
    remote(source).move(source, destination)


def upload(path: str, uri: str) -> None:
    """Copies a local file to where it belongs."""
    with open(path, "rb") as file:
        if not is_local(uri):
            remote(uri).put(file, uri)
            return
        with atomic_write(uri) as target:
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
    for uri in remote(root).below(prefix):
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
    if not is_local(uri):
        return remote(uri).state(uri)
    if not os.path.exists(uri):
        return None
    found = os.stat(uri)
    return found.st_size, found.st_mtime_ns


def delete(uris: list[str]) -> None:
    """Removes files; those that are not there are passed over."""
    others: dict[str, list[str]] = {}
    for uri in uris:
        if is_local(uri):
            Path(uri).unlink(missing_ok=True)
        else:
            others.setdefault(scheme(uri) or "", []).append(uri)
    for group in others.values():
        remote(group[0]).delete(group)
