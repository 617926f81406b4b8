"""A list of images: CSV with a header line, or JSON lines, read strictly: no row is ever guessed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from apache_beam.io.filesystems import FileSystems

from components import files
from components.readers.lines import read_csv, read_json_lines
from components.sources import Rejected, Source, printable
from components.splits import describe_splits, split_named
from tfvs.errors import DataError

NAMES = ("manifest.jsonl", "manifest.csv")
SUFFIXES = (".csv", ".jsonl", ".json")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)


class ManifestReader:
    """Images that a CSV or JSON-lines file names.

    Columns: ``path`` (relative to the manifest, absolute, or a URI) and ``label`` (an index, or a name where class
    names are given; empty: unknown); optional ``id`` (else the path), ``split`` (a known name) and ``proxy`` (path of
    another image that serves as the proxy). Further columns are passed over. A wrong line is rejected with its number,
    the others are kept: a line of CSV is a row, so that a quotation mark without its pair costs that line alone.

    Args:
      path: The manifest, ``.csv`` or ``.jsonl``, or a folder with ``manifest.jsonl`` or ``manifest.csv``.
      class_names: Classes in the order of their indices.
    """

    def __init__(self, path: str, class_names: tuple[str, ...] | None = None) -> None:
        self._path = path.rstrip("/")
        self._class_names = class_names

    def read(self) -> Iterator[Source | Rejected]:
        """Lists the images in the manifest's order.

        Raises:
          DataError: There is no manifest, or the file as a whole is none.
        """
        manifest = self._find()
        folder = os.path.dirname(manifest)
        with files.open_read(manifest) as binary:
            rows = (read_csv if manifest.lower().endswith(".csv") else read_json_lines)(binary, manifest)
            for number, row in rows:
                try:
                    if isinstance(row, str):
                        raise ValueError(row)
                    yield self._to_source(row, folder)
                except ValueError as error:
                    yield Rejected(printable(f"{manifest}:{number}"), "list", printable(str(error)))

    def inputs(self) -> list[str]:
        """The manifest."""
        return [self._find()]

    def _find(self) -> str:
        if self._path.lower().endswith(SUFFIXES):
            candidates = [self._path]
        else:
            candidates = [FileSystems.join(self._path, name) for name in NAMES]
        for candidate in candidates:
            if files.exists(candidate):
                return candidate
        raise DataError("There is no manifest", expected=" or ".join(candidates), received=self._path)

    def _to_source(self, row: Mapping[str, Any], folder: str) -> Source:
        path = row.get("path")
        if not isinstance(path, str) or not path.strip():
            raise ValueError(f"The line has no path; its columns are {', '.join(map(str, row))}")
        proxy = row.get("proxy") or None
        return Source(
            image_id=_text(row.get("id"), "id") or _text(path, "path"),
            uri=_resolve(folder, _text(path, "path")),
            label=self._to_label(row.get("label")),
            split=_to_split(_text(row.get("split"), "split")),
            proxy_uri=None if proxy is None else _resolve(folder, _text(proxy, "proxy")),
        )

    def _to_label(self, value: object) -> int:
        names = self._class_names
        text = _text(value, "label").strip()
        if not text:
            return -1
        if names is not None and text in names:
            return names.index(text)
        if not _WHOLE_NUMBER.fullmatch(text) or isinstance(value, bool):
            known = ", ".join(names) if names else "not given, so it must be an index of at most 9 digits"
            raise ValueError(f"{text[:80]!r} is no class; class names: {known}")
        label = int(text)
        if label < -1 or (names is not None and label >= len(names)):
            raise ValueError(f"There is no class {label}" + (f" of {len(names)}" if names else ""))
        return label


def _text(value: object, column: str) -> str:
    """A value as text that records can hold."""
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise ValueError(f"The {column} is neither text nor a number: {value!r}"[:200])
    text = str(value)
    if "\0" in text or printable(text) != text:
        raise ValueError(f"The {column} holds a NUL or what is no UTF-8: {text!r}"[:200])
    return text


def _to_split(text: str) -> str | None:
    if not text.strip():
        return None
    split = split_named(text)
    if split is None:
        raise ValueError(f"The split {text[:80]!r} is none of {describe_splits()}")
    return split


def _resolve(folder: str, path: str) -> str:
    scheme = FileSystems.get_scheme(path)
    if scheme is not None:
        try:
            FileSystems.get_filesystem(path)
        except ValueError:
            raise ValueError(f"Files are not read by {scheme}://, of which no file system is known: {path}") from None
        return path
    if os.path.isabs(path):
        return path
    return FileSystems.join(folder, path) if folder else path
