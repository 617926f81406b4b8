"""The features of an image's ``tf.train.Example``, and their bytes. Needs no TensorFlow, as workers need none.

The only place that knows the names of the features.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tfvs.data.records import INDEX_FIELDS, ImageRecord, TileIndex

IMAGE_ID = "image/id"
LABEL = "image/label"
SHA256 = "image/sha256"
MICROMETRES_PER_PX = "image/micrometres_per_px"
PROXY = "proxy/encoded"
PYRAMID_URI = "pyramid/uri"
# Features of the tile index by the names of its attributes: the readers of tiles ask for each by itself.
_INDEX_FEATURES = {field.name: field.feature for field in INDEX_FIELDS}
WIDTH = _INDEX_FEATURES["width"]
HEIGHT = _INDEX_FEATURES["height"]
BANDS = _INDEX_FEATURES["bands"]
PYRAMID_FILE_BYTES = _INDEX_FEATURES["file_bytes"]
PYRAMID_LEVELS = _INDEX_FEATURES["levels"]
PYRAMID_TILE_OFFSETS = _INDEX_FEATURES["tile_offsets"]
PYRAMID_TILE_BYTES = _INDEX_FEATURES["tile_bytes"]
PYRAMID_FRAMED = _INDEX_FEATURES["framed"]
PYRAMID_COMPRESSION = _INDEX_FEATURES["compression"]
PYRAMID_JPEG_TABLES = _INDEX_FEATURES["jpeg_tables"]
PYRAMID_DTYPE = _INDEX_FEATURES["dtype"]
PYRAMID_FILE_CRC32 = _INDEX_FEATURES["file_crc32"]

# What a model needs beside the proxy to read an image by tiles, and those of it that are strings.
PYRAMID_FEATURES = (PYRAMID_URI, *_INDEX_FEATURES.values())
STRING_FEATURES = (PYRAMID_URI, *(field.feature for field in INDEX_FIELDS if field.is_string))

Values = Sequence[bytes] | Sequence[int] | Sequence[float]

# Numbers of the fields of tf.train.Feature, https://github.com/tensorflow/tensorflow, core/example/feature.proto.
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def index_values(index: TileIndex) -> dict[str, Values]:
    """The values of the tile index by the names of their features."""
    return {field.feature: field.to_values(index) for field in INDEX_FIELDS}


def serialize(record: ImageRecord) -> bytes:
    """One image as the bytes of a ``tf.train.Example``: those that protocol buffers' deterministic serialization gives.

    >>> index = TileIndex(64, 48, 1, 4000, [(64, 48, 64, 64, 0)], [16], [900], True, "none", b"", "uint8")
    >>> serialize(ImageRecord("a", 3, "00", b"png", "a.tif", index)).count(b"image/label")
    1
    """
    features: dict[str, Values] = {
        IMAGE_ID: [record.image_id.encode()],
        LABEL: [record.label],
        SHA256: [record.sha256.encode()],
        PROXY: [record.proxy],
        PYRAMID_URI: [record.pyramid_uri.encode()],
        **index_values(record.index),
    }
    if record.micrometres_per_px is not None:
        features[MICROMETRES_PER_PX] = [float(record.micrometres_per_px)]
    kinds = {field.feature: _BYTES_LIST if field.is_string else _INT64_LIST for field in INDEX_FIELDS}
    kinds |= {LABEL: _INT64_LIST, MICROMETRES_PER_PX: _FLOAT_LIST}
    return _example(features, kinds)


def _example(features: Mapping[str, Values], kinds: Mapping[str, int]) -> bytes:
    entries = []
    for name in sorted(features, key=str.encode):
        kind = kinds.get(name, _BYTES_LIST)
        feature = _message(kind, _LISTS[kind](features[name]))
        entries.append(_message(1, _message(1, name.encode()) + _message(2, feature)))
    return _message(1, b"".join(entries))


def _bytes_list(values: Sequence[bytes]) -> bytes:
    return b"".join(_message(1, value) for value in values)


def _float_list(values: Sequence[float]) -> bytes:
    return _message(1, struct.pack(f"<{len(values)}f", *values)) if values else b""


def _int64_list(values: Sequence[int]) -> bytes:
    return _message(1, b"".join(map(_varint, values))) if values else b""


_LISTS: dict[int, Any] = {_BYTES_LIST: _bytes_list, _FLOAT_LIST: _float_list, _INT64_LIST: _int64_list}


def _message(number: int, content: bytes) -> bytes:
    """A field whose value has a length: a message, bytes, or packed numbers."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """A whole number of 64 bits, seven of them per byte, the lowest first; negative ones in two's complement."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
