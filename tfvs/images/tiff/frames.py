"""The frame of a TFRecord around a tile: its length and its checksums."""

from __future__ import annotations

import struct

import google_crc32c

# 8-byte length and its masked CRC-32C before, the data's masked CRC-32C behind.
HEADER_BYTES = 12
FOOTER_BYTES = 4


def masked_crc(data: bytes) -> int:
    """The masked CRC-32C of the TFRecord format."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame_header(length: int) -> bytes:
    """The 12 bytes before a record of ``length`` bytes."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc(packed))
