"""A list of images: CSV with a header line, or JSON lines, read strictly: no row is ever guessed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tfvs.errors import DataError
from tfvs.preparation import files
from tfvs.preparation.readers.lines import Row, read_csv, read_json_lines
from tfvs.preparation.readers.values import resolve, text_of
from tfvs.preparation.sources import Rejected, Source, printable
from tfvs.preparation.splits import describe_splits, split_named

NAMES = ("manifest.jsonl", "manifest.csv")
SUFFIXES = (".csv", ".jsonl", ".json")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)


class ManifestReader:
    """Images that a CSV or JSON-lines file names.

    Columns: ``path`` (relative to the manifest, absolute, or a URI) and ``label`` (an index or a name; empty: unknown);
    optional ``id`` (else the path), ``split`` (a known name) and ``proxy`` (path of another image that serves as the
    proxy). Where no class names are given and no label is a number, the labels are the classes, sorted. Further columns
    are passed over. A wrong line is rejected with its number, the others are kept: a line of CSV is a row, so that a
    quotation mark without its pair affects that line alone.

    Args:
      path: The manifest, ``.csv`` or ``.jsonl``, or a folder with ``manifest.jsonl`` or ``manifest.csv``.
      class_names: Classes in the order of their indices.
    """

    def __init__(self, path: str, class_names: tuple[str, ...] | None = None) -> None:
        self._path = path.rstrip("/")
        self._class_names = class_names

    def class_names(self) -> tuple[str, ...]:
        """The names given; else the labels, sorted, where none is a number; none where labels are indices.

        Raises:
          DataError: There is no manifest, or the file as a whole is none.
        """
        if self._class_names is not None:
            return self._class_names
        labels = set(self._labels())
        if any(_WHOLE_NUMBER.fullmatch(label) for label in labels):
            return ()  # Names beside the numbers are refused, line by line.
        return tuple(sorted(labels))

    def read(self) -> Iterator[Source | Rejected]:
        """Lists the images in the manifest's order.

        Raises:
          DataError: There is no manifest, or the file as a whole is none.
        """
        manifest = self._find()
        folder, names = os.path.dirname(manifest), self.class_names()
        for number, row in _rows(manifest):
            try:
                if isinstance(row, str):
                    raise ValueError(row)
                yield self._to_source(row, folder, names)
            except ValueError as error:
                yield Rejected(printable(f"{manifest}:{number}"), "list", printable(str(error)))

    def _labels(self) -> Iterator[str]:
        """Labels that are there and can be read."""
        for _, row in _rows(self._find()):
            try:
                text = "" if isinstance(row, str) else text_of(row.get("label"), "label").strip()
            except ValueError:
                continue
            if text:
                yield text

    def inputs(self) -> list[str]:
        """The manifest."""
        return [self._find()]

    def _find(self) -> str:
        for candidate in _candidates(self._path):
            if files.exists(candidate):
                return candidate
        raise DataError("There is no manifest", expected=" or ".join(_candidates(self._path)), received=self._path)

    def _to_source(self, row: Mapping[str, Any], folder: str, names: tuple[str, ...]) -> Source:
        path = row.get("path")
        if not isinstance(path, str) or not path.strip():
            raise ValueError(f"The line has no path; its columns are {', '.join(map(str, row))}")
        proxy = row.get("proxy") or None
        return Source(
            image_id=text_of(row.get("id"), "id") or text_of(path, "path"),
            uri=resolve(folder, text_of(path, "path")),
            label=self._to_label(row.get("label"), names),
            split=_to_split(text_of(row.get("split"), "split")),
            proxy_uri=None if proxy is None else resolve(folder, text_of(proxy, "proxy")),
        )

    def _to_label(self, value: object, names: tuple[str, ...]) -> int:
        text = text_of(value, "label").strip()
        if not text:
            return -1
        if text in names:
            return names.index(text)
        if not _WHOLE_NUMBER.fullmatch(text) or isinstance(value, bool):
            known = ", ".join(names) or "none, since other labels are indices, of at most 9 digits"
            raise ValueError(f"{text[:80]!r} is no class; class names: {known}")
        label = int(text)
        if label < -1 or (names and label >= len(names)):
            raise ValueError(f"There is no class {label}" + (f" of {len(names)}" if names else ""))
        return label


def has_manifest(path: str) -> bool:
    """Whether a path is a manifest, or a folder with one."""
    return any(files.exists(candidate) for candidate in _candidates(path.rstrip("/")))


def _candidates(path: str) -> list[str]:
    if path.lower().endswith(SUFFIXES):
        return [path]
    return [files.join(path, name) for name in NAMES]


def _rows(manifest: str) -> Iterator[tuple[int, Row]]:
    """Lines with their numbers."""
    with files.open_read(manifest) as binary:
        yield from (read_csv if manifest.lower().endswith(".csv") else read_json_lines)(binary, manifest)


def _to_split(text: str) -> str | None:
    if not text.strip():
        return None
    split = split_named(text)
    if split is None:
        raise ValueError(f"The split {text[:80]!r} is none of {describe_splits()}")
    return split
