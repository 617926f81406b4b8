"""Every field of the tile index reaches Examples, their parser, requests, schemas and the documentation."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfvs.data.example import PYRAMID_FEATURES, STRING_FEATURES, from_example, parse_examples, to_example
from tfvs.data.records import INDEX_FIELDS, ImageRecord, TileIndex
from tfvs.export.pyramid_inputs import pyramid_inputs

ROOT = Path(__file__).resolve().parents[2]
# No value is a default, and none is another field's.
INDEX = TileIndex(
    width=70,
    height=50,
    bands=3,
    file_bytes=4001,
    levels=[(70, 50, 64, 48, 0), (35, 25, 32, 16, 4)],
    tile_offsets=[16, 101, 202, 303, 404, 505, 606, 707],
    tile_bytes=[80, 81, 82, 83, 84, 85, 86, 87],
    framed=True,
    compression="deflate_predictor",
    jpeg_tables=b"\xff\xd8\x00\xff\xd9",
    dtype="uint16_be",
    file_crc32=77,
)
EXAMPLE = to_example(ImageRecord("a", 3, "00", b"png", "a.tif", INDEX))


def test_the_index_above_leaves_no_field_at_its_default():
    for field in dataclasses.fields(TileIndex):
        assert getattr(INDEX, field.name) != field.default, field.name


def test_an_example_holds_every_field():
    assert from_example(EXAMPLE).index == INDEX
    assert set(PYRAMID_FEATURES) == {"pyramid/uri"} | {field.feature for field in INDEX_FIELDS}
    assert set(PYRAMID_FEATURES) <= set(EXAMPLE.features.feature)


def test_a_record_of_before_an_optional_field_is_read():
    old = tf.train.Example.FromString(EXAMPLE.SerializeToString())
    for field in INDEX_FIELDS:
        if field.optional:
            del old.features.feature[field.feature]
    assert from_example(old).index == dataclasses.replace(INDEX, file_crc32=0)


def test_the_parser_and_a_request_agree_on_every_field():
    parsed = parse_examples(tf.constant([EXAMPLE.SerializeToString()]))
    request = pyramid_inputs("a.tif", INDEX)
    assert set(request) == {"path"} | {field.name for field in dataclasses.fields(TileIndex)}
    for field in INDEX_FIELDS:
        found = parsed[field.feature].numpy()
        np.testing.assert_array_equal(request[field.name], found, err_msg=field.name)
        assert found.shape[:1] == (1,)
        assert (found.dtype == object) == (field.feature in STRING_FEATURES)
    assert parsed["pyramid/levels"].numpy().tolist() == [[70, 50, 64, 48, 0, 35, 25, 32, 16, 4]]


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines" / "schemas").glob("*.pbtxt")), ids=lambda path: path.stem)
def test_the_schemas_know_every_field(path):
    schema_pb2 = pytest.importorskip("tensorflow_metadata.proto.v0.schema_pb2")
    from google.protobuf import text_format

    schema = text_format.Parse(path.read_text(), schema_pb2.Schema())
    kinds = {feature.name: feature.type for feature in schema.feature}
    for field in INDEX_FIELDS:
        expected = schema_pb2.BYTES if field.is_string else schema_pb2.INT
        assert kinds.get(field.feature) == expected, field.feature


def test_the_documentation_names_every_input():
    text = (ROOT / "docs" / "serving.md").read_text()
    assert [field.name for field in INDEX_FIELDS if f"`{field.name}`" not in text] == []
