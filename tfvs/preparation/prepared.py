"""A prepared data set: its splits, classes, records and pyramids."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfvs.data.dataset import Manifest, read_labels, read_manifest, split_files
from tfvs.data.layout import MANIFEST, PYRAMIDS, RECORDS, SPLIT_PREFIX
from tfvs.errors import DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.paths import is_local
from tfvs.preparation import files
from tfvs.preparation.fetched import fetch_prepared
from tfvs.preparation.proxies import remake_proxies


@dataclass(frozen=True)
class PreparedSet:
    """The folder that ``tfvs prepare`` writes: ``records`` and ``pyramids``.

    Attributes:
      folder: The folder with the records.
      pyramids: The root of the pyramids, an absolute path or a URI; "": below the folder.

    Raises:
      DataError: There are no records in it.
    """

    folder: Path
    pyramids: str = ""

    @classmethod
    def at(cls, place: str | os.PathLike[str]) -> PreparedSet:
        """The data set at a path or URI; records that lie in object storage are copied here first.

        Raises:
          DataError: There are no records in it.
        """
        place = os.fspath(place)
        if is_local(place):
            return cls(Path(place))
        return cls(fetch_prepared(place), files.join(place, PYRAMIDS))

    def __post_init__(self) -> None:
        if not self.pyramids:
            object.__setattr__(self, "pyramids", str((self.folder / PYRAMIDS).resolve()))
        if not self.splits:
            raise DataError(
                "The folder holds no prepared data set",
                expected=f"a folder with {RECORDS}/ and {PYRAMIDS}/",
                received=self.folder,
                mend="Prepare the images first: tfvs prepare PHOTOS FOLDER",
            )

    @property
    def splits(self) -> list[str]:
        """Names of the splits, sorted."""
        records = self.folder / RECORDS
        found = [entry.name for entry in records.iterdir() if entry.is_dir()] if records.is_dir() else []
        return sorted(name.removeprefix(SPLIT_PREFIX) for name in found if name.startswith(SPLIT_PREFIX))

    @functools.cached_property
    def manifest(self) -> Manifest:
        """The manifest of the records."""
        return read_manifest(self.files(self.splits[0]))

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; their indices as text where the data have no names."""
        if self.manifest.class_names:
            return self.manifest.class_names
        highest = max(int(self.labels(split).max(initial=-1)) for split in self.splits)
        return tuple(str(label) for label in range(highest + 1))

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, ``[N]`` int64; -1 where unknown."""
        return read_labels(self.files(split))

    def files(self, split: str, proxy: ProxyRecipe | None = None) -> list[str]:
        """Record files of a split.

        Args:
          split: Its name.
          proxy: How its proxies shall be made; None: as they are. Records with other proxies than those of the data set
            are made once, from the pyramids, and kept beside its own.

        Raises:
          DataError: There is no such split, or proxies cannot be made again.
        """
        if split not in self.splits:
            raise DataError("The prepared data set has no such split", expected=self.splits, received=split)
        records = self.folder / RECORDS
        if proxy is not None and proxy != self.manifest.proxy:
            source = hashlib.sha256((records / MANIFEST).read_bytes() + proxy.to_json().encode()).hexdigest()
            shape = "x".join(map(str, proxy.shape))
            records = remake_proxies(records, self.pyramids, proxy, self.folder / f"{RECORDS}-{shape}-{source[:8]}")
        return split_files(records, split)
