"""StarCraft II battles, as the paper's authors lay them out: a CSV beside images, or a pair of HDF5 files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfvs.datasets.starcraft2.layout import (
    CLASS_NAMES,
    COLUMNS,
    HDF5_FILES,
    LABELS,
    LIST,
    MARINES,
    MINIMAP,
    MOST_MARINES,
    SCREEN,
    VALUES,
    splits_by_position,
    training_splits,
)
from tfvs.errors import ConfigError, DataError
from tfvs.preparation import files
from tfvs.preparation.hdf5 import member_uri
from tfvs.preparation.readers.lines import read_csv
from tfvs.preparation.readers.values import resolve, text_of
from tfvs.preparation.sources import PassedOver, Rejected, Source, printable
from tfvs.preparation.splits import describe_splits, split_named

TOO_MANY = f"more than {MOST_MARINES} marines, for which there is no class"
_COUNT = re.compile(r"([0-9]{1,9})(?:\.0*)?", re.ASCII)


class StarCraft2Reader:
    """Battles with the number of marines as the class, 0 to 22, and the minimap as the proxy.

    Two layouts:

    - ``predictions.csv`` with the columns ``fullscreen_img``, ``minimap_img`` (paths of images, relative to it) and
      ``marine_count``, and others that are passed over. An optional column ``split`` says the split of every row;
      without it, of the rows that are left the last fifth is the test, and the last tenth before it is for validation;
    - ``train_dataset.hdf5`` and ``test_dataset.hdf5`` with ``fullscreen_img`` and ``minimap_img`` ``[N, 3, H, W]``
      uint8 and ``labels`` ``[N, columns]``, whose columns are those of ``predictions.csv`` beside them that name no
      image, or without it the authors' nine. The last tenth of the training images is for validation.

    Battles of more than 22 marines are passed over and counted, as the authors drop them. A row that cannot be read is
    rejected with its number.

    Args:
      path: The folder, or the CSV.
      class_names: None, or the numbers from 0 to 22.

    Raises:
      ConfigError: Other class names.
    """

    def __init__(self, path: str, class_names: tuple[str, ...] | None = None) -> None:
        if class_names is not None and class_names != CLASS_NAMES:
            raise ConfigError(
                "StarCraft II has a fixed list of classes", expected=f"0 to {MOST_MARINES}", received=class_names
            )
        self._path = path.rstrip("/")

    def read(self) -> Iterator[Source | Rejected | PassedOver]:
        """Lists the battles in the data set's order.

        Raises:
          DataError: There is no data set of either layout, or a file as a whole is none.
        """
        pair, table = self._find()
        if not pair:
            yield from _read_table(table)
            return
        column = _label_column(table if files.exists(table) else None)
        for split, path in pair.items():
            yield from _read_pair(path, split, column)

    def class_names(self) -> tuple[str, ...]:
        """The numbers from 0 to 22."""
        return CLASS_NAMES

    def inputs(self) -> list[str]:
        """The CSV and the HDF5 files."""
        pair, table = self._find()
        return [uri for uri in (table, *pair.values()) if files.exists(uri)]

    def _find(self) -> tuple[dict[str, str], str]:
        """The HDF5 files by split, none for the other layout; and where the CSV is or would be."""
        if self._path.lower().endswith(".csv"):
            return {}, self._path
        table = files.join(self._path, LIST)
        pair = {split: files.join(self._path, name) for split, name in HDF5_FILES.items()}
        there = [path for path in pair.values() if files.exists(path)]
        if not there and files.exists(table):
            return {}, table
        if len(there) < len(pair) or not files.is_local(self._path):
            raise DataError(
                "There is no StarCraft II data set",
                expected=f"{LIST}, or on this machine's disks {' and '.join(HDF5_FILES.values())}",
                received=there or self._path,
            )
        return pair, table


def _read_table(table: str) -> Iterator[Source | Rejected | PassedOver]:
    """Battles of the CSV; the splits by position are known only behind its end."""
    folder, kept = os.path.dirname(table), []
    if not files.exists(table):
        raise DataError("There is no StarCraft II data set", expected=LIST, received=table)
    with files.open_read(table) as binary:
        for number, row in read_csv(binary, table, (SCREEN, MINIMAP, MARINES), COLUMNS):
            place = printable(f"{table}:{number}")
            try:
                if isinstance(row, str):
                    raise ValueError(row)
                count = _count(row[MARINES])
                if count > MOST_MARINES:
                    yield PassedOver(place, TOO_MANY)
                    continue
                kept.append((_source(row, folder, count), "split" in row))
            except ValueError as error:
                yield Rejected(place, "list", printable(str(error)))
    for (source, tells_split), split in zip(kept, splits_by_position(len(kept)), strict=True):
        yield source if tells_split else Source(source.image_id, source.uri, source.label, split, source.proxy_uri)


def _source(row: Mapping[str, Any], folder: str, count: int) -> Source:
    screen, minimap = (text_of(row[column], column) for column in (SCREEN, MINIMAP))
    for column, path in ((SCREEN, screen), (MINIMAP, minimap)):
        if not path:
            raise ValueError(f"The line has no {column}")
    split = split_named(row["split"]) if "split" in row else None
    if "split" in row and split is None:
        raise ValueError(f"The split {row['split'][:80]!r} is none of {describe_splits()}")
    return Source(screen, resolve(folder, screen), count, split, resolve(folder, minimap))


def _count(text: str) -> int:
    found = _COUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no number of marines")
    return int(found[1])


def _label_column(table: str | None) -> int:
    """Which column of ``labels`` counts the marines."""
    names: list[str] = list(VALUES)
    if table is not None:
        with files.open_read(table) as binary:
            header = binary.readline().decode("utf-8-sig", errors="replace")
        names = [name for name in (part.strip().casefold() for part in header.split(",")) if "_img" not in name]
    if MARINES not in names:
        raise DataError(f"{table} has no column {MARINES!r}", expected=", ".join(COLUMNS), received=names)
    return names.index(MARINES)


def _read_pair(path: str, split: str, column: int) -> Iterator[Source | Rejected | PassedOver]:
    labels = _read_labels(path)
    if labels.ndim == 2 and labels.shape[1] <= column:
        raise DataError(
            f"{LABELS} in {path} has too few columns",
            expected=f"more than {column}, of which that one counts the marines",
            received=labels.shape,
        )
    kept = []
    for row, count in enumerate(labels if labels.ndim == 1 else labels[:, column]):
        place = f"{path}:{row}"
        if not (np.isfinite(count) and count >= 0 and count == int(count)):
            yield Rejected(place, "list", f"{count} is no number of marines")
        elif count > MOST_MARINES:
            yield PassedOver(place, TOO_MANY)
        else:
            kept.append((row, int(count)))
    splits = training_splits(len(kept)) if split == "train" else [split] * len(kept)
    for (row, label), own in zip(kept, splits, strict=True):
        image, proxy = (member_uri(path, name, row) for name in (SCREEN, MINIMAP))
        yield Source(f"{split}-{row:06d}", image, label, own, proxy)


def _read_labels(path: str) -> np.ndarray:
    """Checks the file as a whole."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in (SCREEN, MINIMAP, LABELS) if name not in file]
            counts = {} if missing else {name: len(file[name]) for name in (SCREEN, MINIMAP, LABELS)}
            labels = np.zeros([0]) if missing else np.asarray(file[LABELS][()])
    except OSError as error:
        raise DataError("The HDF5 file cannot be read", received=f"{path}: {error}") from error
    what = f"without {', '.join(missing)}" if missing else f"{counts}, {LABELS} {labels.dtype} {labels.shape}"
    if missing or len(set(counts.values())) > 1 or labels.ndim not in (1, 2) or labels.dtype.kind not in "iuf":
        raise DataError(
            f"{path} holds something else",
            expected=f"{SCREEN}, {MINIMAP} and {LABELS} of one length, {LABELS} [N] or [N, columns] numbers",
            received=what,
        )
    return labels
