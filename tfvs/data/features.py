"""The features of an image's ``tf.train.Example``, and their bytes. Needs no TensorFlow, as workers need none.

The only place that knows the names of the features.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfvs.data.protos.example_pb2 import Example
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

_BYTES, _FLOATS, _INTEGERS = "bytes_list", "float_list", "int64_list"


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
    kinds = {field.feature: _BYTES if field.is_string else _INTEGERS for field in INDEX_FIELDS}
    kinds |= {LABEL: _INTEGERS, MICROMETRES_PER_PX: _FLOATS}
    example = Example()
    for name, values in features.items():
        listed = getattr(example.features.feature[name], kinds.get(name, _BYTES))
        listed.SetInParent()  # a list without values is a list, too
        listed.value.extend(values)
    encoded: bytes = example.SerializeToString(deterministic=True)
    return encoded
