"""Files on any of Beam's file systems: local paths and buckets alike."""

from __future__ import annotations

import contextlib
import glob
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
    part = FileSystems.join(os.path.dirname(uri), f".{os.path.basename(uri)}.{uuid.uuid4().hex}.part")
    if is_local(uri):
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                yield file
            os.replace(part, uri)
        finally:
            Path(part).unlink(missing_ok=True)
        return
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


def match(root: str, pattern: str) -> list[str]:
    """Files below a root that match a glob, sorted; the root itself is taken as it is, brackets and all."""
    if is_local(root):
        found = glob.glob(os.path.join(glob.escape(root), pattern))
        return sorted(path for path in found if os.path.isfile(path))
    listed = FileSystems.match([FileSystems.join(root, *pattern.split("/"))])[0].metadata_list
    return sorted(entry.path for entry in listed)


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
    """Removes files; those that are not there are no matter."""
    present = [uri for uri in uris if exists(uri)]
    if present:
        FileSystems.delete(present)
