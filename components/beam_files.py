"""Beam's file systems, for files that URIs name: ``gs://``, ``s3://``, ``hdfs://`` and whatever else Beam knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

_AS_THEY_ARE = {"compression_type": CompressionTypes.UNCOMPRESSED}


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

    def create(self, uri: str) -> IO[bytes]:
        """Opens a new file to write."""
        return FileSystems.create(uri, **_AS_THEY_ARE)

    def exists(self, uri: str) -> bool:
        """Whether there is such a file or folder."""
        return FileSystems.exists(uri)

    def state(self, uri: str) -> tuple[int, float]:
        """Size in bytes and time of change."""
        filesystem: Any = FileSystems.get_filesystem(uri)  # its annotation names another class
        metadata = filesystem.metadata(uri)
        return metadata.size_in_bytes, metadata.last_updated_in_seconds

    def below(self, prefix: str) -> Iterator[str]:
        """URIs of all files whose URI begins with a text, found as Beam's own matching does but without a pattern."""
        filesystem: Any = FileSystems.get_filesystem(prefix)
        yield from (entry.path for entry in filesystem._list(prefix))

    def rename(self, source: str, destination: str) -> None:
        """Moves a file, into a new folder where the file system has folders."""
        folder = FileSystems.split(destination)[0]
        filesystem: Any = FileSystems.get_filesystem(destination)
        if filesystem.has_dirs() and not FileSystems.exists(folder):
            FileSystems.mkdirs(folder)
        FileSystems.rename([source], [destination])

    def delete(self, uris: list[str]) -> None:
        """Removes files."""
        FileSystems.delete(uris)

    def join(self, uri: str, *parts: str) -> str:
        """A path below another."""
        return FileSystems.join(uri, *parts)
