"""The data contract: one ``tf.train.Example`` per image, written and read; its features' names are in ``features``."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfvs.data.features import (
    BANDS,
    HEIGHT,
    IMAGE_ID,
    LABEL,
    MICROMETRES_PER_PX,
    PROXY,
    PYRAMID_COMPRESSION,
    PYRAMID_DTYPE,
    PYRAMID_FEATURES,
    PYRAMID_FILE_BYTES,
    PYRAMID_FILE_CRC32,
    PYRAMID_FRAMED,
    PYRAMID_JPEG_TABLES,
    PYRAMID_LEVELS,
    PYRAMID_TILE_BYTES,
    PYRAMID_TILE_OFFSETS,
    PYRAMID_URI,
    SHA256,
    STRING_FEATURES,
    WIDTH,
    serialize,
)
from tfvs.data.records import INDEX_FIELDS, ImageRecord, TileIndex
from tfvs.errors import InputError

__all__ = [
    "BANDS",
    "HEIGHT",
    "IMAGE_ID",
    "INDEX_FIELDS",
    "LABEL",
    "MICROMETRES_PER_PX",
    "PROXY",
    "PYRAMID_COMPRESSION",
    "PYRAMID_DTYPE",
    "PYRAMID_FEATURES",
    "PYRAMID_FILE_BYTES",
    "PYRAMID_FILE_CRC32",
    "PYRAMID_FRAMED",
    "PYRAMID_JPEG_TABLES",
    "PYRAMID_LEVELS",
    "PYRAMID_TILE_BYTES",
    "PYRAMID_TILE_OFFSETS",
    "PYRAMID_URI",
    "SHA256",
    "STRING_FEATURES",
    "WIDTH",
    "ImageRecord",
    "TileIndex",
    "from_example",
    "parse_examples",
    "to_example",
]


def to_example(record: ImageRecord) -> tf.train.Example:
    """Writes one image as an Example.

    >>> index = TileIndex(64, 48, 1, 4000, [(64, 48, 64, 64, 0)], [16], [900], True, "none", b"", "uint8")
    >>> example = to_example(ImageRecord("a", 3, "00", b"png", "a.tif", index))
    >>> from_example(example).index.levels
    [(64, 48, 64, 64, 0)]
    """
    return tf.train.Example.FromString(serialize(record))


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
