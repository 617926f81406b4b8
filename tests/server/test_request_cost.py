"""Small requests that stand for large work are refused before the work is done."""

from __future__ import annotations

import time
import zlib

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.export.saccaders import picture, pyramid_request
from tfvs.client.transport import predict_request
from tfvs.data.example import PROXY
from tfvs.export.reasons import NO_PYRAMID, NOT_AN_EXAMPLE, TOO_MANY_SCANS
from tfvs.ops.jpeg_markers import MAX_SCANS, count_scans, holds_tables_alone
from tfvs.server.image_cost import stated_pixels

SCAN = b"\xff\xda"


def progressive(height: int, width: int) -> bytes:
    return tf.io.encode_jpeg(picture(height, width), progressive=True).numpy()


def scan_bomb(height: int, width: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    jpeg = progressive(height, width)
    last = jpeg[jpeg.rindex(SCAN) : -2]
    return jpeg[:-2] + last * (scans - jpeg.count(SCAN)) + jpeg[-2:]


def png_bomb(height: int, width: int) -> bytes:
    """A PNG of nothing, of any size, in a few bytes."""
    packed = zlib.compress(bytes((3 * width + 1) * 16), 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.fixture
def ask(saccader_server, stub):
    client = stub(saccader_server)

    def call(signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        answer = client.Predict(predict_request("default", signature, inputs), timeout=60)
        return {key: tf.make_ndarray(value) for key, value in answer.outputs.items()}

    return call


def test_costly_images_are_refused_alone_and_at_once(ask):
    good = progressive(300, 400)
    bomb = scan_bomb(300, 400, 10_000)
    start = time.monotonic()
    answer = ask("predict_images", image_bytes=np.array([good, bomb], object))
    assert time.monotonic() - start < 5.0
    assert answer["valid"].tolist() == [True, False]
    assert answer["reason"].tolist() == [b"", TOO_MANY_SCANS.encode()]
    fitting = ask("predict_images", image_bytes=np.array([scan_bomb(300, 400, MAX_SCANS)], object))
    assert fitting["valid"].all()


def test_the_images_of_a_request_are_bounded_together(ask):
    jpeg, png = progressive(300, 400), tf.io.encode_png(picture(300, 400)).numpy()
    assert ask("predict_images", image_bytes=np.array([jpeg, png] * 4, object))["valid"].all()
    with pytest.raises(grpc.RpcError) as caught:
        ask("predict_images", image_bytes=np.array([jpeg, png] * 4 + [jpeg], object))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "1080000 pixels together; 1000000 are allowed" in caught.value.details()
    huge = [png[:16] + (60_000).to_bytes(4, "big") * 2 + png[24:], tf.io.encode_jpeg(picture(1_001, 1_000)).numpy()]
    assert ask("predict_images", image_bytes=np.array([jpeg, *huge, png], object))["valid"].tolist() == [1, 0, 0, 1]


def test_a_proxy_is_not_decoded_before_its_size_is_known(ask):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png_bomb(16_000, 16_000)]))
    bomb = tf.train.Example(features=tf.train.Features(feature={PROXY: feature})).SerializeToString()
    start = time.monotonic()
    answer = ask("serving_default", examples=np.array([bomb] * 20, object))
    assert set(answer["reason"].tolist()) == {NOT_AN_EXAMPLE.encode()}
    assert time.monotonic() - start < 5.0


def test_jpeg_tables_that_hold_an_image_are_refused(ask, served_images):
    inputs = pyramid_request(served_images, "a.tif")
    for tables in (scan_bomb(300, 400, 5_000), progressive(40, 40), tf.io.encode_jpeg(picture(40, 40)).numpy()):
        refused = {**inputs, "compression": np.array([b"jpeg"], object), "jpeg_tables": np.array([tables], object)}
        start = time.monotonic()
        assert ask("predict_pyramids", **refused)["reason"].tolist() == [NO_PYRAMID.encode()]
        assert time.monotonic() - start < 5.0


def test_scans_are_counted_as_encoders_write_them():
    for quality in (1, 50, 95, 100):
        baseline = tf.io.encode_jpeg(picture(90, 120), quality=quality).numpy()
        assert count_scans(tf.constant(baseline)).numpy() == 1
        frame = baseline.index(b"\xff\xc0")
        tables = baseline[:frame] + baseline[frame + 2 + 17 : baseline.index(SCAN)] + b"\xff\xd9"
        assert holds_tables_alone(tf.constant([tables, b"", baseline])).numpy().tolist() == [True, True, False]
    assert count_scans(tf.constant(progressive(90, 120))).numpy() == progressive(90, 120).count(SCAN) > 3
    assert count_scans(tf.constant(b"")).numpy() == 0
    assert count_scans(tf.constant(np.random.default_rng(0).bytes(2**22))).numpy() == 0


def test_sizes_are_those_that_tensorflow_reads():
    for pixels in (picture(30, 70), picture(1, 1), picture(257, 3)):
        wanted = pixels.shape[0] * pixels.shape[1]
        jpeg = tf.io.encode_jpeg(pixels).numpy()
        thumbnail = b"\xff\xe1" + (len(jpeg) + 2).to_bytes(2, "big") + jpeg  # another image within a segment
        for encoded in (
            jpeg,
            tf.io.encode_png(pixels).numpy(),
            jpeg[:2] + thumbnail + jpeg[2:],
            jpeg[:2] + b"\xff" + jpeg[2:],
        ):
            assert stated_pixels(encoded) == wanted
            height, width, _ = tf.io.decode_image(encoded).shape
            assert height * width == wanted
    for odd in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8" + b"\xff" * 100):
        assert stated_pixels(odd) == 0
