"""The data contract: one ``tf.train.Example`` an image. The only place that knows the feature names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfvs.data.records import ImageRecord, TileIndex
from tfvs.errors import InputError

IMAGE_ID = "image/id"
LABEL = "image/label"
WIDTH = "image/width"
HEIGHT = "image/height"
BANDS = "image/bands"
SHA256 = "image/sha256"
PROXY = "proxy/encoded"
PYRAMID_URI = "pyramid/uri"
PYRAMID_FILE_BYTES = "pyramid/file_bytes"
PYRAMID_LEVELS = "pyramid/levels"
PYRAMID_TILE_OFFSETS = "pyramid/tile_offsets"
PYRAMID_TILE_BYTES = "pyramid/tile_bytes"
PYRAMID_FRAMED = "pyramid/framed"
PYRAMID_COMPRESSION = "pyramid/compression"
PYRAMID_JPEG_TABLES = "pyramid/jpeg_tables"
PYRAMID_DTYPE = "pyramid/dtype"
PYRAMID_FILE_CRC32 = "pyramid/file_crc32"

# Integers of `pyramid/levels` per level: width, height, tile width, tile height, index of its first tile.
LEVEL_FIELDS = 5

# What a model needs beside the proxy to read an image by tiles.
PYRAMID_FEATURES = (
    WIDTH,
    HEIGHT,
    BANDS,
    PYRAMID_URI,
    PYRAMID_FILE_BYTES,
    PYRAMID_LEVELS,
    PYRAMID_TILE_OFFSETS,
    PYRAMID_TILE_BYTES,
    PYRAMID_FRAMED,
    PYRAMID_COMPRESSION,
    PYRAMID_JPEG_TABLES,
    PYRAMID_DTYPE,
    PYRAMID_FILE_CRC32,
)


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _ints(values: Sequence[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def index_to_features(index: TileIndex) -> dict[str, tf.train.Feature]:
    """The tile index as features."""
    return {
        WIDTH: _ints([index.width]),
        HEIGHT: _ints([index.height]),
        BANDS: _ints([index.bands]),
        PYRAMID_FILE_BYTES: _ints([index.file_bytes]),
        PYRAMID_LEVELS: _ints([field for level in index.levels for field in level]),
        PYRAMID_TILE_OFFSETS: _ints(index.tile_offsets),
        PYRAMID_TILE_BYTES: _ints(index.tile_bytes),
        PYRAMID_FRAMED: _ints([int(index.framed)]),
        PYRAMID_COMPRESSION: _bytes(index.compression.encode()),
        PYRAMID_JPEG_TABLES: _bytes(index.jpeg_tables),
        PYRAMID_DTYPE: _bytes(index.dtype.encode()),
        PYRAMID_FILE_CRC32: _ints([index.file_crc32]),
    }


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
    return tf.train.Example(features=tf.train.Features(feature=features))


def from_example(example: tf.train.Example) -> ImageRecord:
    """Reads one image back; the inverse of :func:`to_example`.

    Raises:
      InputError: A feature is missing.
    """
    features: Mapping[str, tf.train.Feature] = example.features.feature

    def ints(name: str) -> list[int]:
        return list(_present(features, name).int64_list.value)

    def text(name: str) -> str:
        return _present(features, name).bytes_list.value[0].decode()

    fields = ints(PYRAMID_LEVELS)
    index = TileIndex(
        width=ints(WIDTH)[0],
        height=ints(HEIGHT)[0],
        bands=ints(BANDS)[0],
        file_bytes=ints(PYRAMID_FILE_BYTES)[0],
        levels=[tuple(fields[i : i + LEVEL_FIELDS]) for i in range(0, len(fields), LEVEL_FIELDS)],  # type: ignore[misc]
        tile_offsets=ints(PYRAMID_TILE_OFFSETS),
        tile_bytes=ints(PYRAMID_TILE_BYTES),
        framed=bool(ints(PYRAMID_FRAMED)[0]),
        compression=text(PYRAMID_COMPRESSION),
        jpeg_tables=_present(features, PYRAMID_JPEG_TABLES).bytes_list.value[0],
        dtype=text(PYRAMID_DTYPE),
        file_crc32=ints(PYRAMID_FILE_CRC32)[0] if PYRAMID_FILE_CRC32 in features else 0,
    )
    return ImageRecord(
        image_id=text(IMAGE_ID),
        label=ints(LABEL)[0],
        sha256=text(SHA256),
        proxy=_present(features, PROXY).bytes_list.value[0],
        pyramid_uri=text(PYRAMID_URI),
        index=index,
    )


def _present(features: Mapping[str, tf.train.Feature], name: str) -> tf.train.Feature:
    if name not in features:
        raise InputError(
            f"The Example has no feature {name!r}",
            received=sorted(features),
            mend="Write it with tfvs.data.example.to_example or components.prepare",
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
        IMAGE_ID: tf.io.FixedLenFeature([], tf.string, ""),
        PROXY: tf.io.FixedLenFeature([], tf.string, ""),
        PYRAMID_URI: tf.io.FixedLenFeature([], tf.string, ""),
        PYRAMID_COMPRESSION: tf.io.FixedLenFeature([], tf.string, ""),
        PYRAMID_JPEG_TABLES: tf.io.FixedLenFeature([], tf.string, ""),
        PYRAMID_DTYPE: tf.io.FixedLenFeature([], tf.string, ""),
    }
    for name in (WIDTH, HEIGHT, BANDS, PYRAMID_FILE_BYTES, PYRAMID_FRAMED, PYRAMID_FILE_CRC32):
        spec[name] = tf.io.FixedLenFeature([], tf.int64, 0)
    if with_label:
        spec[LABEL] = tf.io.FixedLenFeature([], tf.int64)
    ragged = (PYRAMID_LEVELS, PYRAMID_TILE_OFFSETS, PYRAMID_TILE_BYTES)
    for name in ragged:
        spec[name] = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
    parsed = tf.io.parse_example(serialized, spec)
    for name in ragged:
        parsed[name] = parsed[name].to_tensor()
    return parsed
