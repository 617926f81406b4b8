"""Rows of a CSV or JSON-lines file, line by line: a bad line is reported with its number, and the others are read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from tfvs.errors import DataError

# What a row is, or why there is none.
Row = Mapping[str, Any] | str
MAX_LINE_CHARACTERS = 100_000
_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip", b"PK": "a ZIP archive, as .xlsx files are"}


def read_csv(
    binary: IO[bytes], name: str, required: Sequence[str] = ("path",), usual: Sequence[str] = ("path", "label")
) -> Iterator[tuple[int, Row]]:
    """Rows by the names in the header line; names and values without the spaces around them.

    Args:
      binary: The file.
      name: Its name, for errors.
      required: Columns that must be there.
      usual: Columns that an error names as an example of a header.

    Yields:
      Number of the line, from 1, and the row or why it is none.

    Raises:
      DataError: The file as a whole is no CSV in UTF-8, or its header lacks a required column.
    """
    lines = _lines(binary, name)
    columns: list[str] = []
    for number, line in lines:
        values = _split(line)
        if not columns:
            columns = [column.casefold() for column in values] if isinstance(values, list) else []
            missing = [column for column in required if column not in columns]
            if missing or len(set(columns)) < len(columns):
                raise DataError(
                    f"{name} has no column {missing[0]!r}" if missing else f"{name} names a column twice",
                    expected=f"a first line with the columns {', '.join(usual)}, separated by commas, in UTF-8",
                    received=line[:200] if isinstance(values, list) else values,
                )
        elif isinstance(values, str):
            yield number, values
        elif len(values) != len(columns):
            yield number, f"The line has {len(values)} columns, the header has {len(columns)}"
        else:
            yield number, dict(zip(columns, values, strict=True))


def read_json_lines(binary: IO[bytes], name: str) -> Iterator[tuple[int, Row]]:
    """JSON objects, one per line, as :func:`read_csv` gives rows."""
    for number, line in _lines(binary, name):
        if fault := _fault(line):
            yield number, fault
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError, ValueError) as error:
            yield number, f"The line is no JSON: {error}"[:200]
            continue
        yield number, row if isinstance(row, dict) else "The line is no JSON object"


def _lines(binary: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, without their ends; of an overlong one its beginning."""
    head = binary.read(4)
    for mark, kind in _BOMS.items():
        if head.startswith(mark):
            raise DataError(
                f"{name} is no text in UTF-8", expected="UTF-8", received=kind, mend="Save it as CSV in UTF-8"
            )
    text = io.TextIOWrapper(io.BufferedReader(_After(head, binary)), encoding="utf-8-sig", errors="surrogateescape")
    number = 0
    while line := text.readline(MAX_LINE_CHARACTERS + 2):
        number += 1
        whole = line
        while not whole.endswith("\n") and (whole := text.readline(MAX_LINE_CHARACTERS)):
            pass
        if line.strip():
            yield number, line.removesuffix("\n")


class _After(io.RawIOBase):
    """A file whose first bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        data = data or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _fault(line: str) -> str | None:
    if len(line) > MAX_LINE_CHARACTERS:
        return f"The line is longer than {MAX_LINE_CHARACTERS} characters"
    if "\0" in line:
        return "The line holds a NUL"
    if any("\ud800" <= character <= "\udfff" for character in line):
        return "The line is no UTF-8"
    return None


def _split(line: str) -> list[str] | str:
    if fault := _fault(line):
        return fault
    try:
        (values,) = csv.reader([line], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:
        return f"The line is no CSV: {error}. A quotation mark may have no pair; a quoted value ends on its line"
    return [value.strip() for value in values]
