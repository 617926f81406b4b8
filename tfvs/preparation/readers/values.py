"""Values of a row of a list, checked: text that records can hold, and paths that can be opened."""

from __future__ import annotations

import os

from tfvs.preparation import files
from tfvs.preparation.sources import printable


def text_of(value: object, column: str) -> str:
    """A value as text that records can hold.

    Raises:
      ValueError: It is none; the message names the column.
    """
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise ValueError(f"The {column} is neither text nor a number: {value!r}"[:200])
    text = str(value)
    if "\0" in text or printable(text) != text:
        raise ValueError(f"The {column} holds a NUL or what is no UTF-8: {text!r}"[:200])
    return text


def resolve(folder: str, path: str) -> str:
    """A path or URI; one that is not absolute lies below the folder.

    Raises:
      ValueError: A URI of which no file system is known.
    """
    if not files.is_local(path):
        if not files.can_read(path):
            raise ValueError(
                f"Files are not read by {files.scheme(path)}://, of which no file system is known: {path}; "
                "Apache Beam, which python -m components.prepare uses, knows some"
            )
        return path
    if os.path.isabs(path):
        return path
    return files.join(folder, path) if folder else path
