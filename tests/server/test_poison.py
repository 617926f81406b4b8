"""A served saccader under requests that are wrong in every way: each gets its code, and good ones never suffer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.export.saccaders import picture, pyramid_request, write_picture_pyramid
from tfvs.client.transport import predict_request

INVALID = grpc.StatusCode.INVALID_ARGUMENT
ROOTS, DECODING, PIXELS = b"image roots", b"no JPEG or PNG", b"more pixels"


@pytest.fixture(scope="module")
def root(served_images) -> Path:
    write_picture_pyramid(served_images.parent / "secret.tif", picture(300, 400, seed=1))
    (served_images / "link.tif").symlink_to(served_images.parent / "secret.tif")
    (served_images / "folder").symlink_to(served_images.parent)
    return served_images


def message(signature: str, **inputs: np.ndarray):
    return predict_request("default", signature, inputs)


def images(*encoded: bytes):
    return message("predict_images", image_bytes=np.array(encoded, object))


def good_requests(root: Path) -> list:
    png = tf.io.encode_png(picture(90, 120)).numpy()
    return [images(png), message("predict_pyramids", **pyramid_request(root, "a.tif"))]


def bad_images(root: Path) -> list[tuple]:
    """Requests that are answered OK, with the image refused: (request, what the reason says)."""
    pyramid = pyramid_request(root, "a.tif")
    jpeg = tf.io.encode_jpeg(picture(90, 120)).numpy()
    png = tf.io.encode_png(picture(90, 120)).numpy()
    bomb = png[:16] + (60_000).to_bytes(4, "big") * 2 + png[24:]
    paths = ["../secret.tif", "x/../../secret.tif", str(root.parent / "secret.tif"), "link.tif", "folder/secret.tif"]
    paths += ["/etc/passwd", "file:///etc/passwd", "gs://bucket/a.tif", "missing.tif", "", "a.tif\0", b"\xff\xfe"]
    raw = [path if isinstance(path, bytes) else path.encode() for path in paths]
    return [
        *((message("predict_pyramids", **{**pyramid, "path": np.array([path], object)}), ROOTS) for path in raw),
        (message("predict_pyramids", **{**pyramid, "tile_offsets": pyramid["tile_offsets"] + 5}), ROOTS),
        (message("predict_pyramids", **{**pyramid, "tile_offsets": pyramid["tile_offsets"] - 2**62}), ROOTS),
        (message("predict_pyramids", **{**pyramid, "levels": pyramid["levels"] * -1}), ROOTS),
        (images(jpeg[: len(jpeg) // 2]), DECODING),
        (images(png[: len(png) // 2]), DECODING),
        (images(b"GIF89a" + bytes(40)), DECODING),
        (images(b""), DECODING),
        (images(bomb), PIXELS),
        (message("serving_default", examples=np.array([b"no example"], object)), b"no tf.Example"),
    ]


def bad_requests(root: Path) -> list[tuple]:
    """Requests that are refused: (request, its code)."""
    pyramid = pyramid_request(root, "a.tif")
    missing = {name: value for name, value in pyramid.items() if name != "levels"}
    wide = {**pyramid, "proxy": np.concatenate([pyramid["proxy"]] * 2, axis=2)}
    two = {**pyramid, "path": np.array([b"a.tif"] * 2, object)}
    return [
        (message("predict_slides", **pyramid), grpc.StatusCode.FAILED_PRECONDITION),
        (message("predict_pyramids", **missing), INVALID),
        (message("predict_pyramids", **pyramid, extra=pyramid["width"]), INVALID),
        (message("predict_pyramids", **{**pyramid, "width": pyramid["width"].astype(np.int32)}), INVALID),
        (message("predict_pyramids", **{**pyramid, "proxy": pyramid["proxy"][0]}), INVALID),
        (message("predict_pyramids", **wide), INVALID),
        (message("predict_pyramids", **two), INVALID),
        (images(*[b"x"] * 129), INVALID),
        (predict_request("elsewhere", "predict_images", {}), grpc.StatusCode.NOT_FOUND),
    ]


def code_of(call, request) -> grpc.StatusCode:
    try:
        call(request, timeout=60)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def outputs(response) -> dict[str, bytes]:
    return {key: value.SerializeToString(deterministic=True) for key, value in response.outputs.items()}


def test_a_thousand_malformed_requests(saccader_server, stub, root):
    client = stub(saccader_server)
    good = good_requests(root)
    before = [outputs(client.Predict(request, timeout=60)) for request in good]
    assert all(tf.make_ndarray(client.Predict(request).outputs["valid"])[0] for request in good)

    def still_bit_equal(number: int) -> None:
        assert outputs(client.Predict(good[number % 2], timeout=60)) == before[number % 2]

    refused, failing = bad_images(root), bad_requests(root)
    for number in range(900):
        if number % 2:
            request, reason = refused[number // 2 % len(refused)]
            answer = client.Predict(request, timeout=60)
            assert not tf.make_ndarray(answer.outputs["valid"])[0], request.inputs
            assert reason in tf.make_ndarray(answer.outputs["reason"])[0]
        else:
            request, code = failing[number // 2 % len(failing)]
            assert code_of(client.Predict, request) == code
        if number % 5 == 0:
            still_bit_equal(number // 5)
    with grpc.insecure_channel(f"127.0.0.1:{saccader_server.port}", [("grpc.max_send_message_length", -1)]) as channel:
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for number in range(98):
            not_utf8 = b"\x0a\x04\x0a\x02\xff" + bytes([0x80 + number])
            assert code_of(raw, not_utf8) == grpc.StatusCode.INTERNAL
            if number % 5 == 0:
                still_bit_equal(number // 5)
        for number in range(2):
            assert code_of(raw, bytes(100_000_000)) == grpc.StatusCode.RESOURCE_EXHAUSTED
            still_bit_equal(number)


def test_fifty_good_clients_do_not_notice_fifty_poisoned_ones(saccader_server, stub, root):
    client = stub(saccader_server)
    good = good_requests(root)
    wanted = [tf.make_ndarray(client.Predict(request).outputs["probabilities"]) for request in good]
    bad = [request for request, _ in [*bad_images(root), *bad_requests(root)]]

    def ask(number: int) -> bool:
        for attempt in range(3):
            if number % 2:
                code_of(client.Predict, bad[(number + attempt) % len(bad)])
                continue
            kind = number // 2 % 2
            answer = client.Predict(good[kind], timeout=120)
            np.testing.assert_allclose(
                tf.make_ndarray(answer.outputs["probabilities"]), wanted[kind], atol=1e-5
            )  # the sum over a batch rounds in another order
        return True

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(ask, range(100)))
