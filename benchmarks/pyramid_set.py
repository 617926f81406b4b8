"""A data set that a benchmark makes, as pyramids and records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tfvs.data.layout import PYRAMIDS
from tfvs.datasets.pyramid_records import record_files

Configuration = TypeVar("Configuration")


@dataclass(frozen=True)
class PyramidSet(Generic[Configuration]):
    """Images of which the first ones are used.

    Attributes:
      folder: Folder of the data set.
      config: Configuration of its images.
      counts: Images per split that are used.
    """

    folder: Path
    config: Configuration
    counts: dict[str, int]

    @property
    def pyramid_root(self) -> str:
        """What the records' paths are relative to."""
        return str(self.folder / PYRAMIDS)

    def files(self, split: str) -> list[str]:
        """Record files of the images used."""
        return record_files(self.folder, split, self.counts[split])
