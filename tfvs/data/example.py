"""The data contract: one ``tf.train.Example`` per image. The only place that knows the feature names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfvs.data.records import INDEX_FIELDS, ImageRecord, TileIndex
from tfvs.errors import InputError

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


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _ints(values: Sequence[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def index_to_features(index: TileIndex) -> dict[str, tf.train.Feature]:
    """The tile index as features."""
    features = {}
    for field in INDEX_FIELDS:
        values: Any = field.to_values(index)
        features[field.feature] = (
            tf.train.Feature(bytes_list=tf.train.BytesList(value=values)) if field.is_string else _ints(values)
        )
    return features


def to_example(record: ImageRecord) -> tf.train.Example:
    """Writes one image as an Example.

    >>> index = TileIndex(64, 48, 1, 4000, [(64, 48, 64, 64, 0)], [16], [900], True, "none", b"", "uint8")
    >>> example = to_example(ImageRecord("a", 3, "00", b"png", "a.tif", index))
    >>> from_example(example).index.levels
    [(64, 48, 64, 64, 0)]
    """
    features = {
        IMAGE_ID: _bytes(record.image_id.encode()),
        LABEL: _ints([record.label]),
        SHA256: _bytes(record.sha256.encode()),
        PROXY: _bytes(record.proxy),
        PYRAMID_URI: _bytes(record.pyramid_uri.encode()),
        **index_to_features(record.index),
    }
    if record.micrometres_per_px is not None:
        features[MICROMETRES_PER_PX] = tf.train.Feature(
            float_list=tf.train.FloatList(value=[record.micrometres_per_px])
        )
    return tf.train.Example(features=tf.train.Features(feature=features))


def from_example(example: tf.train.Example) -> ImageRecord:
    """Reads one image back; the inverse of :func:`to_example`.

    Raises:
      InputError: A feature is missing.
    """
    features: Mapping[str, tf.train.Feature] = example.features.feature

    def text(name: str) -> str:
        return _present(features, name).bytes_list.value[0].decode()

    index = {}
    for field in INDEX_FIELDS:
        if field.optional and field.feature not in features:
            continue
        found = _present(features, field.feature)
        index[field.name] = field.from_values((found.bytes_list if field.is_string else found.int64_list).value)
    return ImageRecord(
        image_id=text(IMAGE_ID),
        label=_present(features, LABEL).int64_list.value[0],
        sha256=text(SHA256),
        proxy=_present(features, PROXY).bytes_list.value[0],
        pyramid_uri=text(PYRAMID_URI),
        index=TileIndex(**index),
        micrometres_per_px=features[MICROMETRES_PER_PX].float_list.value[0] if MICROMETRES_PER_PX in features else None,
    )


def _present(features: Mapping[str, tf.train.Feature], name: str) -> tf.train.Feature:
    if name not in features:
        raise InputError(
            f"The Example has no feature {name!r}",
            received=sorted(features),
            mend="Write it with tfvs.data.example.to_example or tfvs prepare",
        )
    return features[name]


def parse_examples(serialized: tf.Tensor, *, with_label: bool = True) -> dict[str, tf.Tensor]:
    """Parses a batch of serialized Examples in the graph.

    Lists of different length (levels, tiles) are padded with zeros at the end.

    Args:
      serialized: ``[B]`` string.
      with_label: Whether to read the label; a request for prediction has none.

    Returns:
      Feature name → tensor: scalars ``[B]``, ``pyramid/levels`` ``[B, 5·L]`` int64, ``pyramid/tile_offsets`` and
      ``pyramid/tile_bytes`` ``[B, N]`` int64.
    """
    spec: dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature] = {
        name: tf.io.FixedLenFeature([], tf.string, "") for name in (IMAGE_ID, PROXY, PYRAMID_URI)
    }
    ragged = []
    for field in INDEX_FIELDS:
        kind = tf.string if field.is_string else tf.int64
        if field.is_list:
            spec[field.feature] = tf.io.RaggedFeature(kind, row_splits_dtype=tf.int64)
            ragged.append(field.feature)
        else:
            spec[field.feature] = tf.io.FixedLenFeature([], kind, "" if field.is_string else 0)
    if with_label:
        spec[LABEL] = tf.io.FixedLenFeature([], tf.int64)
    parsed = tf.io.parse_example(serialized, spec)
    for name in ragged:
        parsed[name] = parsed[name].to_tensor()
    return parsed
