"""The bodies of REST requests, unpacked where they are compressed."""

from __future__ import annotations

import zlib

import grpc

from tfvs.server.status import RequestError, invalid

_GZIP = 16 + zlib.MAX_WBITS  # zlib's number for the gzip format alone


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """A request's body as it was before it was compressed.

    Args:
      body: The body as it was received.
      encoding: The header ``Content-Encoding``.
      limit: Bytes that the unpacked body may have; a longer one is never unpacked whole.

    Raises:
      RequestError: INVALID_ARGUMENT: another encoding, or no whole gzip; RESOURCE_EXHAUSTED: longer than the limit.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise invalid(f"The Content-Encoding {encoding!r} is not known; gzip is.")
    parts: list[bytes] = []
    room = limit
    rest = body
    while rest:  # several gzip members may follow one another
        unpacker = zlib.decompressobj(_GZIP)
        try:
            part = unpacker.decompress(rest, room + 1)
        except zlib.error as error:
            raise invalid(f"The body is not gzip, as its Content-Encoding says: {error}") from error
        if len(part) > room:
            what = f"The unpacked body has more than {limit} bytes."
            raise RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, what)
        if not unpacker.eof:
            raise invalid("The gzip body is not complete.")
        parts.append(part)
        room, rest = room - len(part), unpacker.unused_data
    return b"".join(parts)
