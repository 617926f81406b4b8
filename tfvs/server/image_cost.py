"""The number of pixels that a request asks to be decoded, read from the images' headers before anything is."""

from __future__ import annotations

from collections.abc import Sequence

from tfvs.server.status import invalid

HEADER_BYTES = 64
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, of any kind
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


def bounded(images: Sequence[bytes], limit: int) -> list[bytes]:
    """Images that cost no more than the limit together.

    Args:
      images: Encoded.
      limit: Pixels.

    Returns:
      The images; of one that is above the limit by itself only the header, so that it is refused, and alone.

    Raises:
      RequestError: INVALID_ARGUMENT, the others are above the limit together.
    """
    pixels = [stated_pixels(encoded) for encoded in images]
    total = sum(count for count in pixels if count <= limit)
    if total > limit:
        raise invalid(
            f"The images of the request have {total} pixels together; {limit} are allowed. Send fewer at once."
        )
    return [
        encoded if count <= limit else encoded[:HEADER_BYTES] for encoded, count in zip(images, pixels, strict=True)
    ]


def stated_pixels(encoded: bytes) -> int:
    """Width times height as the header of a JPEG or PNG says; 0 for anything else, which no signature decodes."""
    if encoded.startswith(_PNG):
        return int.from_bytes(encoded[16:20], "big") * int.from_bytes(encoded[20:24], "big")
    return _jpeg_pixels(encoded) if encoded.startswith(_JPEG) else 0


def _jpeg_pixels(encoded: bytes) -> int:
    at = 2
    while True:
        at = encoded.find(b"\xff", at)
        if at < 0 or at + 9 > len(encoded):
            return 0
        marker = encoded[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(encoded[at + 5 : at + 7], "big") * int.from_bytes(encoded[at + 7 : at + 9], "big")
        if marker in _ALONE or marker in (0x00, 0xFF):
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + max(2, int.from_bytes(encoded[at + 2 : at + 4], "big"))
