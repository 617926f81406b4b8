"""Parsing TIFFs that may be damaged: whatever the parser raises becomes an ImageError with the file's name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from tfvs.errors import ImageError


def name_of(source: str | os.PathLike[str] | bytes) -> str:
    """What errors call an image: its path, or how many bytes it has where it came as bytes."""
    return f"{len(source)} bytes" if isinstance(source, bytes) else os.fspath(source)


@contextlib.contextmanager
def parsing(name: str, *passed: type[Exception]) -> Iterator[None]:
    """Turns what a parser raises for damaged directories within the block into an ImageError.

    Args:
      name: What the error calls the file.
      *passed: Kinds of errors that are passed on as they are, as an ImageError is.

    Raises:
      ImageError: The directories cannot be read.
    """
    try:
        yield
    except Exception as error:  # parsers raise errors of many kinds for damaged directories
        if isinstance(error, (ImageError, *passed)):
            raise
        raise ImageError("The TIFF's directories cannot be read", received=f"{name}: {error}"[:400]) from error
