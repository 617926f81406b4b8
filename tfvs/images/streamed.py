"""Rows of pixels that another library decodes, as a libvips image: computed when libvips asks, never held whole.

libvips reads an uncompressed TIFF that does not exist: its header is made here, and its strips are decoded when they
are read. So libvips can stream from any library that gives rows, with the memory of a few strips.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from typing import Protocol

import numpy as np
import pyvips

_STRIP_BYTES = 2 << 20
_KEPT_STRIPS = 2
_SHORT, _LONG, _LONG8 = 3, 4, 16
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


# What went wrong last: libvips' own error cannot carry it.
_failures: deque[Exception] = deque(maxlen=1)


def take_failure() -> Exception | None:
    """The exception for which libvips could not read rows, if there was one since this was last asked."""
    try:
        return _failures.pop()
    except IndexError:
        return None


class Rows(Protocol):
    """Something that decodes rows of an image.

    Attributes:
      width: Pixels.
      height: Pixels.
      bands: Samples per pixel.
      dtype: Data type of the samples.
      alpha: Whether the last band is unassociated alpha.
    """

    width: int
    height: int
    bands: int
    dtype: np.dtype
    alpha: bool

    def read(self, first: int, stop: int) -> np.ndarray:
        """Rows ``first`` to ``stop - 1`` as ``[rows, width, bands]``, mostly asked for from top to bottom."""


class RowSource:
    """The TIFF that libvips reads.

    Args:
      rows: What decodes.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows, self._position = rows, 0
        self._row_bytes = rows.width * rows.bands * rows.dtype.itemsize
        self._strip_rows = max(1, min(rows.height, _STRIP_BYTES // self._row_bytes))
        self._header = self._make_header()
        self._bytes = len(self._header) + self._row_bytes * rows.height
        self._strips: OrderedDict[int, bytes] = OrderedDict()

    def open(self, *, random_access: bool = False) -> pyvips.Image:
        """The image. Alpha, where there is one, is its last band."""
        source = pyvips.SourceCustom()
        source.on_read(self._read)
        source.on_seek(self._seek)
        access = "random" if random_access else "sequential"
        # The one way in pyvips to open a source that keeps the callbacks alive as long as images made from it.
        return pyvips.Image.new_from_source(source, "", access=access, fail_on="warning")

    def _read(self, size: int) -> bytes | None:
        try:
            data = self._at(self._position, size)
        except Exception as error:  # libvips, which calls this, ends with an error of its own
            _failures.append(error)
            return None
        self._position += len(data)
        return data

    def _seek(self, offset: int, whence: int) -> int:
        self._position = offset + (0, self._position, self._bytes)[whence]
        return self._position

    def _at(self, start: int, size: int) -> bytes:
        if start < len(self._header):
            return self._header[start : start + size]
        strip_bytes = self._strip_rows * self._row_bytes
        number, skipped = divmod(start - len(self._header), strip_bytes)
        if start >= self._bytes:
            return b""
        return self._strip(number)[skipped : skipped + size]

    def _strip(self, number: int) -> bytes:
        if number not in self._strips:
            first = number * self._strip_rows
            stop = min(first + self._strip_rows, self._rows.height)
            pixels = self._rows.read(first, stop)
            wanted = (stop - first, self._rows.width, self._rows.bands)
            if pixels.shape != wanted:
                raise ValueError(f"Rows of shape {pixels.shape} came where {wanted} were expected")
            little = np.ascontiguousarray(pixels, self._rows.dtype.newbyteorder("<"))
            self._strips[number] = little.tobytes()
            if len(self._strips) > _KEPT_STRIPS:
                self._strips.popitem(last=False)
        return self._strips[number]

    def _make_header(self) -> bytes:
        rows = self._rows
        colour = 3 if rows.bands >= 3 + rows.alpha else 1
        extra = rows.bands - colour
        strips = -(-rows.height // self._strip_rows)
        kind = _SAMPLE_FORMATS[rows.dtype.kind]
        entries: list[tuple[int, int, list[int]]] = [
            (256, _LONG, [rows.width]),
            (257, _LONG, [rows.height]),
            (258, _SHORT, [8 * rows.dtype.itemsize] * rows.bands),
            (259, _SHORT, [1]),
            (262, _SHORT, [2 if colour == 3 else 1]),
            (273, _LONG8, [0] * strips),
            (277, _SHORT, [rows.bands]),
            (278, _LONG, [self._strip_rows]),
            (279, _LONG8, [self._strip_bytes(number) for number in range(strips)]),
            (284, _SHORT, [1]),
            *([(338, _SHORT, [0] * (extra - rows.alpha) + [2] * rows.alpha)] if extra else []),
            (339, _SHORT, [kind] * rows.bands),
        ]
        letters = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}
        place = 16 + 8 + 20 * len(entries) + 8
        sizes = [struct.calcsize(f"<{len(values)}{letters[type_]}") for _, type_, values in entries]
        end = place + sum(size for size in sizes if size > 8)
        table, data = b"", b""
        for (tag, type_, values), size in zip(entries, sizes, strict=True):
            if tag == 273:
                values = [end + number * self._strip_rows * self._row_bytes for number in range(strips)]
            packed = struct.pack(f"<{len(values)}{letters[type_]}", *values)
            if size > 8:
                table += struct.pack("<HHQQ", tag, type_, len(values), place + len(data))
                data += packed
            else:
                table += struct.pack("<HHQ8s", tag, type_, len(values), packed)
        head = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + struct.pack("<Q", len(entries))
        return head + table + bytes(8) + data

    def _strip_bytes(self, number: int) -> int:
        rows = min(self._strip_rows, self._rows.height - number * self._strip_rows)
        return rows * self._row_bytes
