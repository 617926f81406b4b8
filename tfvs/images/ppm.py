"""Binary PPM and PGM, which the usual builds of libvips do not read: rows for :mod:`tfvs.images.streamed`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from tfvs.errors import ImageError

SIGNATURES = (b"P5", b"P6")  # grey, colour
_SPACE = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([56])" + rb"(\d{1,9})".join([_SPACE] * 3) + rb"(\d{1,5})\s")
_HEADER_BYTES = 4096
# Level of white → the samples' type; 16 bits have the higher byte first.
_DTYPES: dict[int, np.dtype[Any]] = {255: np.dtype("u1"), 65535: np.dtype(">u2")}


class PpmRows:
    """The rows of a file; see :class:`tfvs.images.streamed.Rows` for the attributes.

    Args:
      source: Path, or the encoded bytes.
      name: What errors call it.

    Raises:
      ImageError: A header that is none, white at another level than that of 8 or 16 bits, or too few pixels.
    """

    alpha = False

    def __init__(self, source: Path | bytes, name: str) -> None:
        self._source = source
        head = self._bytes(0, _HEADER_BYTES)
        header = _HEADER.match(head)
        if header is None or int(header[4]) not in _DTYPES:
            raise ImageError(
                "The PPM's header cannot be used",
                expected=f"width, height, and {' or '.join(map(str, _DTYPES))} for white",
                received=f"{header[0] if header else head[:40]!r} in {name}",
            )
        self._stored = _DTYPES[int(header[4])]
        self.dtype = self._stored.newbyteorder("=")
        self.bands = 3 if header[1] == b"6" else 1
        self.width, self.height, self._offset = int(header[2]), int(header[3]), header.end()
        wanted = self._offset + self.height * self._row_bytes
        size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
        if size < wanted:
            raise ImageError("The PPM is cut off", expected=f"{wanted} bytes", received=f"{size} in {name}")

    @property
    def _row_bytes(self) -> int:
        return self.width * self.bands * self._stored.itemsize

    def _bytes(self, start: int, count: int) -> bytes:
        if isinstance(self._source, bytes):
            return self._source[start : start + count]
        with open(self._source, "rb") as file:
            file.seek(start)
            return file.read(count)

    def read(self, first: int, stop: int) -> np.ndarray:
        """Rows ``first`` to ``stop - 1`` as ``[rows, width, bands]``."""
        data = self._bytes(self._offset + first * self._row_bytes, (stop - first) * self._row_bytes)
        return np.frombuffer(data, self._stored).astype(self.dtype).reshape(stop - first, self.width, self.bands)
