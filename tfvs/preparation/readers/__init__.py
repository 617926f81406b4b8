"""Readers: each lists the images of one layout of data on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tfvs.errors import ConfigError
from tfvs.preparation.readers.fivek import FiveKReader
from tfvs.preparation.readers.gtsdb import GTSDBReader
from tfvs.preparation.readers.image_folder import ImageFolderReader
from tfvs.preparation.readers.manifest import ManifestReader, has_manifest
from tfvs.preparation.readers.starcraft2 import StarCraft2Reader
from tfvs.preparation.sources import PassedOver, Rejected, Source


class Reader(Protocol):
    """What a job needs to know of a data set.

    Readers are pickled to workers: they hold paths and options, no open files.
    """

    def read(self) -> Iterator[Source | Rejected | PassedOver]:
        """Lists the images, in a stable order, and what lies between them and is passed over.

        Raises:
          DataError: There is no data set of this layout.
        """

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their indices.

        Raises:
          DataError: There is no data set of this layout.
        """

    def inputs(self) -> list[str]:
        """Files beside the images on which the list depends."""


AUTO = "auto"
READERS = ("folder", "manifest", "fivek", "gtsdb", "starcraft2", AUTO)


def check_reader(name: str) -> None:
    """Checks the name of a reader.

    Raises:
      ConfigError: No such reader.
    """
    if name not in READERS:
        raise ConfigError("There is no such reader", expected=READERS, received=name)


def make_reader(name: str, path: str, class_names: Sequence[str] | None = None) -> Reader:
    """The reader for a layout; docs/data.md describes them.

    Args:
      name: ``"folder"``: a folder per class; ``"manifest"``: CSV or JSON lines; ``"fivek"``: MIT-Adobe FiveK;
        ``"gtsdb"``: German Traffic Sign Detection Benchmark; ``"starcraft2"``: battles with their minimaps;
        ``"auto"``: ``"manifest"`` where the path is a manifest or a folder with one, else ``"folder"``.
      path: Path of the data set.
      class_names: Classes in the order of their indices; None leaves it to the layout.

    Raises:
      ConfigError: No such reader, class names for a layout that has its own, or names that are empty or the same.
    """
    check_reader(name)
    names = None if class_names is None else tuple(name.strip() for name in class_names)
    if names is not None and (not all(names) or len(set(names)) < len(names)):
        raise ConfigError("Class names are empty or the same", expected="names that differ", received=class_names)
    if name == AUTO:
        name = "manifest" if has_manifest(path) else "folder"
    if name == "folder":
        return ImageFolderReader(path, names)
    if name == "manifest":
        return ManifestReader(path, names)
    if name == "gtsdb":
        return GTSDBReader(path, names)
    if name == "starcraft2":
        return StarCraft2Reader(path, names)
    if names is not None:
        raise ConfigError("FiveK has a fixed list of classes", expected="no class names", received=names)
    return FiveKReader(path)


__all__ = [
    "READERS",
    "FiveKReader",
    "GTSDBReader",
    "ImageFolderReader",
    "ManifestReader",
    "Reader",
    "StarCraft2Reader",
    "check_reader",
    "make_reader",
]
