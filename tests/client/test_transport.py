"""What the client does with deadlines, refusals, TLS and metadata, against servers that say so."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.server.test_tls import certificate
from tfvs.client.client import connect
from tfvs.client.options import ClientOptions
from tfvs.client.transport import GrpcTransport
from tfvs.errors import InputError, ResourceError

X = {"x": np.ones([1, 3], np.float32)}


class Scripted(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers with the codes it is given, then with what it was sent."""

    def __init__(self, *codes: grpc.StatusCode, delay_s: float = 0.0) -> None:
        self.codes, self.delay_s = list(codes), delay_s
        self.times: list[float] = []
        self.metadata: dict[str, str] = {}

    def Predict(self, request, context):
        self.times.append(time.monotonic())
        self.metadata = dict(context.invocation_metadata())
        time.sleep(self.delay_s)
        if self.codes:
            context.abort(self.codes.pop(0), "as told")
        response = predict_pb2.PredictResponse()
        for key, value in request.inputs.items():
            response.outputs[key].CopyFrom(value)
        return response


@pytest.fixture
def scripted():
    servers = []

    def start(*codes: grpc.StatusCode, **options: float) -> tuple[Scripted, str]:
        servicer = Scripted(*codes, **options)
        server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return servicer, f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0)


def transport(server: str, **options) -> GrpcTransport:
    return GrpcTransport(ClientOptions(server=server, **options))


def test_unavailable_is_tried_again_after_growing_random_pauses(scripted):
    servicer, server = scripted(*[grpc.StatusCode.UNAVAILABLE] * 4)
    np.testing.assert_array_equal(transport(server).call("s", X)["x"], X["x"])
    pauses = np.diff(servicer.times)
    assert len(pauses) == 4
    assert (pauses < np.array([0.1, 0.2, 0.4, 0.8]) + 0.2).all()
    assert len({round(pause, 3) for pause in pauses}) > 1


@pytest.mark.parametrize("name", ["INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "INTERNAL"])
def test_nothing_else_is_tried_again(scripted, name):
    servicer, server = scripted(grpc.StatusCode[name])
    with pytest.raises((InputError, ResourceError), match=f"{name}: as told"):
        transport(server).call("s", X)
    assert len(servicer.times) == 1


def test_the_deadline_holds_for_all_attempts_together(scripted):
    _, slow = scripted(delay_s=3.0)
    _, down = scripted(*[grpc.StatusCode.UNAVAILABLE] * 100)
    for server in (slow, down):
        start = time.monotonic()
        with pytest.raises(ResourceError, match=r"within 0\.7 s"):
            transport(server, timeout_s=0.7).call("s", X)
        assert time.monotonic() - start < 1.5


def test_metadata_goes_with_each_request_and_answers_may_be_large(scripted):
    servicer, server = scripted()
    large = {"x": np.ones([2_000_000], np.float32)}
    answer = transport(server, metadata=("authorization=Bearer a=b",)).call("s", large)
    assert answer["x"].nbytes == 8_000_000  # above gRPC's own limit of 4 MB
    assert servicer.metadata["authorization"] == "Bearer a=b"


def test_the_client_speaks_tls_both_ways(serve, toy_model, tmp_path: Path):
    key, cert = certificate(tmp_path)
    ssl = tmp_path / "ssl.txt"
    fields = {"server_key": key, "server_cert": cert, "custom_ca": cert}
    lines = [f"{name}: {json.dumps(text)}" for name, text in fields.items()]
    ssl.write_text("\n".join([*lines, "client_verify: true"]))
    (tmp_path / "key.pem").write_text(key)
    server = f"127.0.0.1:{serve(toy_model, ssl_config_file=str(ssl)).port}"
    ca = str(tmp_path / "ca.pem")
    own = {"tls_key": str(tmp_path / "key.pem"), "tls_certificate": ca}
    with connect(ClientOptions(server=server, model_name="toy", tls_ca=ca, timeout_s=20.0, **own)) as client:
        assert set(client._transport.input_shapes()) >= {"serving_default", "parse", "fixed"}
    for missing in ({"tls_ca": ca}, {}):
        options = ClientOptions(server=server, model_name="toy", timeout_s=1.0, **missing)
        with connect(options) as client, pytest.raises(ResourceError):
            client._transport.input_shapes()
