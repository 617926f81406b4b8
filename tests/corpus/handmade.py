"""TIFFs written byte by byte, as real ones are that no library of today would write."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_LETTERS = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 9: "i", 12: "d"}
BYTE, ASCII, SHORT, LONG, UNDEFINED = 1, 2, 3, 4, 7
Entry = tuple[int, int, Sequence[int]]


def write_tiff(path: Path, entries: list[Entry], data: bytes, order: str = "<") -> None:
    """A TIFF of one directory whose entries stay in the order given; ``data`` begins at byte 8."""
    data += b"\0" * (len(data) % 2)
    place = 8 + len(data)
    table, body = b"", b""
    values_at = place + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        packed = struct.pack(f"{order}{len(values)}{_LETTERS[kind]}", *values)
        cell = packed.ljust(4, b"\0")
        if len(packed) > 4:
            cell = struct.pack(f"{order}I", values_at + len(body))
            body += packed + b"\0" * (len(packed) % 2)
        table += struct.pack(f"{order}HHI", tag, kind, len(values)) + cell
    mark = b"II" if order == "<" else b"MM"
    header = mark + struct.pack(f"{order}HI", 42, place)
    path.write_bytes(header + data + struct.pack(f"{order}H", len(entries)) + table + bytes(4) + body)


def strip_entries(image: np.ndarray, count: int, compression: int = 1) -> list[Entry]:
    """Tags of an RGB image in one strip."""
    height, width, bands = image.shape
    return [
        (256, SHORT, [width]),
        (257, SHORT, [height]),
        (258, SHORT, [8] * bands),
        (259, SHORT, [compression]),
        (262, SHORT, [2]),
        (273, LONG, [8]),
        (277, SHORT, [bands]),
        (278, SHORT, [height]),
        (279, LONG, [count]),
    ]


def split_tiles(image: np.ndarray, side: int) -> list[np.ndarray]:
    """Tiles in a TIFF's order, zeros beyond the image."""
    height, width, bands = image.shape
    tiles = []
    for top in range(0, height, side):
        for left in range(0, width, side):
            tile = np.zeros([side, side, bands], image.dtype)
            part = image[top : top + side, left : left + side]
            tile[: part.shape[0], : part.shape[1]] = part
            tiles.append(tile)
    return tiles


def write_tiles(
    path: Path,
    size: tuple[int, int],
    side: int,
    compression: int,
    parts: list[bytes],
    *,
    photometric: int = 2,
    bands: int = 3,
    extra: Sequence[Entry] = (),
) -> None:
    """A TIFF of tiles that are given as they are stored; an empty one is left out of the file."""
    starts, place = [], 8
    for part in parts:
        starts.append(place if part else 0)
        place += len(part)
    entries: list[Entry] = [
        (256, SHORT, [size[1]]),
        (257, SHORT, [size[0]]),
        (258, SHORT, [8] * bands),
        (259, SHORT, [compression]),
        (262, SHORT, [photometric]),
        (277, SHORT, [bands]),
        (322, SHORT, [side]),
        (323, SHORT, [side]),
        (324, LONG, starts),
        (325, LONG, [len(part) for part in parts]),
        *extra,
    ]
    write_tiff(path, sorted(entries), b"".join(parts))


def old_lzw(data: bytes) -> bytes:
    """LZW with the least significant bit first, as TIFFs had it before 1988: literal codes of 9 bits."""
    out, held, bits = bytearray(), 0, 0

    def put(code: int) -> None:
        nonlocal held, bits
        held |= code << bits
        bits += 9
        while bits >= 8:
            out.append(held & 255)
            held >>= 8
            bits -= 8

    for place in range(0, len(data), 200):
        put(256)
        for byte in data[place : place + 200]:
            put(byte)
    put(257)
    out.append(held & 255)
    return bytes(out)
