"""A server whose images lie in object storage answers as one whose images lie on its disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="tfvs[serving] is not installed")

import grpc

from benchmarks.relay import RunningRelay, running_relay
from tests.export.saccaders import adapt, picture, pyramid_request, write_picture_pyramid
from tests.server.fixtures import exported, serve
from tests.storage.reaching import reach
from tfvs.client.transport import predict_request
from tfvs.server.model_server import ModelServer
from tfvs.server.status import RequestError

__all__ = ["exported", "serve"]
ROOT = "s3://bucket/images"


def ask(server: ModelServer, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    request = predict_request("toy", "predict_pyramids", inputs)
    return server._predictor.predict_protos(request.model_spec, request.inputs).outputs


@pytest.mark.e2e  # two servers load, which takes half a minute of a core
def test_answers_are_those_of_a_disk(
    exported: Path, serve: Callable[..., ModelServer], tmp_path: Path, server: str, reached: RunningRelay
) -> None:
    from tfvs.preparation import files

    local = tmp_path / "images"
    local.mkdir()
    for name, seed in (("a.tif", 1), ("b.tif", 2)):
        write_picture_pyramid(local / name, picture(700, 900, seed))
        files.upload(str(local / name), f"{ROOT}/{name}")
    adapt(exported, tmp_path / "disk", [local])
    adapt(exported, tmp_path / "bucket", [ROOT, str(local)])
    on_disk = serve(tmp_path / "disk")
    in_bucket = serve(tmp_path / "bucket", image_roots=(f"{ROOT}", str(local)))
    for name in ("a.tif", "b.tif"):
        expected = ask(on_disk, pyramid_request(local, name))
        reached.forget()
        for path in (name, f"{ROOT}/{name}", str(local / name)):
            answer = ask(in_bucket, pyramid_request(local, name, path))
            assert answer["valid"].tolist() == [True], answer["reason"]
            assert set(answer) == set(expected)
            for key in ("probabilities", "boxes", "kl", "entropy"):
                np.testing.assert_allclose(answer[key], expected[key], rtol=1e-5, atol=1e-6)
            assert answer["labels"].tolist() == expected["labels"].tolist()
            assert answer["tiles_read"].tolist() == expected["tiles_read"].tolist()
        ranges = [request["range"] for request in reached.requests()]
        assert len(ranges) == len(set(ranges)) > 0, "what is held is not asked for again"
    for path in ("none.tif", "s3://bucket/images2/a.tif", "s3://bucket/images/../a.tif", "gs://bucket/images/a.tif"):
        answer = ask(in_bucket, pyramid_request(local, "a.tif", path))
        assert answer["valid"].tolist() == [False]
        assert b"pyramid cannot be read" in answer["reason"][0]
        assert not answer["probabilities"].any()

    with running_relay(server, tmp_path / "log", status=403) as refusing:
        reach(s3_endpoint_url=refusing.url, cache_folder=str(tmp_path / "other"))
        with pytest.raises(RequestError, match="object storage") as raised:
            ask(in_bucket, pyramid_request(local, "a.tif"))
    assert raised.value.code == grpc.StatusCode.UNAVAILABLE
