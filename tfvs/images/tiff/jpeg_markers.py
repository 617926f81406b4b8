"""What the markers of a JPEG stream say of colour; tiles without such markers leave it to the TIFF's tags."""

from __future__ import annotations

# JPEG APP14 markers that say how colour is stored, for tiles that leave it to the TIFF's tags.
ADOBE_RGB = bytes.fromhex("ffee000e41646f626500640000000000")
ADOBE_YCBCR = bytes.fromhex("ffee000e41646f626500640000000001")
_START_OF_SCAN, _APP0, _APP14 = 0xDA, 0xE0, 0xEE


def stored_colour(head: bytes) -> bytes | None:
    """How a stream's own markers say that three bands are stored, as decoders understand them.

    Args:
      head: Its beginning, up to the first scan.

    Returns:
      :data:`ADOBE_RGB`, :data:`ADOBE_YCBCR`, or None where no marker says.

    >>> stored_colour(b"\\xff\\xd8" + ADOBE_RGB) == ADOBE_RGB
    True
    """
    adobe, place = None, 2
    while place + 4 <= len(head) and head[place] == 0xFF and head[place + 1] != _START_OF_SCAN:
        marker, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        data = head[place + 4 : place + 2 + length]
        if marker == _APP0 and data.startswith(b"JFIF"):
            return ADOBE_YCBCR  # which decoders heed before the other
        if marker == _APP14 and data.startswith(b"Adobe") and len(data) >= 12:
            adobe = ADOBE_RGB if data[11] == 0 else ADOBE_YCBCR
        place += 2 + length
    return adobe
