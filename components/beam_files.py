"""Beam's file systems, for files of schemes such as ``hdfs://`` that are no object storage."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from typing import IO, Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfvs.paths import require_literal

_AS_THEY_ARE = {"compression_type": CompressionTypes.UNCOMPRESSED}
_CHUNK = 1 << 20


class BeamFiles:
    """Beam's file systems in the form of :class:`tfvs.preparation.files.RemoteFiles`."""

    def knows(self, uri: str) -> bool:
        """Whether Beam has a file system for the scheme."""
        try:
            FileSystems.get_filesystem(uri)
        except ValueError:
            return False
        return True

    def open_read(self, uri: str) -> IO[bytes]:
        """Opens a file to read."""
        return FileSystems.open(uri, **_AS_THEY_ARE)

    def put(self, file: IO[bytes], uri: str) -> None:
        """Writes a file under another name, and renames it when it is whole."""
        require_literal(uri, "The path of a remote file")
        part = FileSystems.join(uri.rpartition("/")[0], f".{uuid.uuid4().hex}.part")
        file.seek(0)
        with FileSystems.create(part, **_AS_THEY_ARE) as target:
            shutil.copyfileobj(file, target, _CHUNK)
        self.delete([uri])
        FileSystems.rename([part], [uri])

    def exists(self, uri: str) -> bool:
        """Whether there is such a file or folder."""
        return FileSystems.exists(uri)

    def state(self, uri: str) -> tuple[int, float] | None:
        """Size in bytes and time of change; None where there is no such file."""
        if not FileSystems.exists(uri):
            return None
        filesystem: Any = FileSystems.get_filesystem(uri)  # its annotation names another class
        metadata = filesystem.metadata(uri)
        return metadata.size_in_bytes, metadata.last_updated_in_seconds

    def below(self, prefix: str) -> Iterator[str]:
        """URIs of all files whose URI begins with a text, found as Beam's own matching does but without a pattern."""
        filesystem: Any = FileSystems.get_filesystem(prefix)
        yield from (entry.path for entry in filesystem._list(prefix))

    def move(self, source: str, destination: str) -> None:
        """Moves a file, into a new folder where the file system has folders."""
        folder = FileSystems.split(destination)[0]
        filesystem: Any = FileSystems.get_filesystem(destination)
        if filesystem.has_dirs() and not FileSystems.exists(folder):
            FileSystems.mkdirs(folder)
        for uri in (source, destination):
            require_literal(uri, "The path of a remote file")
        self.delete([destination])
        FileSystems.rename([source], [destination])

    def delete(self, uris: list[str]) -> None:
        """Removes files; those that are not there are passed over.

        Raises:
          ConfigError: Deletion goes by pattern here, and a path holds a pattern's characters.
        """
        there = [require_literal(uri, "The path of a remote file") for uri in uris if FileSystems.exists(uri)]
        if there:
            FileSystems.delete(there)
