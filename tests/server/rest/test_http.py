"""What HTTP adds to the calls: compressed bodies, other origins, metrics, and the log of requests."""

from __future__ import annotations

import gzip
import http.client
import json
import zlib

import pytest

from benchmarks.machine import free_port
from tests.server.calls import X
from tests.server.rest.rules_model import ask
from tests.server.toy import request
from tests.waiting import wait_until
from tfvs.errors import ResourceError
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions
from tfvs.server.request_log import RequestLog
from tfvs.server.rest.request_body import unpacked
from tfvs.server.status import RequestError

BODY = b'{"inputs": [[1, 2, 3]]}'
PATH = "/v1/models/toy:predict"


def test_gzip_bodies_are_unpacked_within_a_limit(serve, toy_model):
    port = free_port()
    serve(toy_model, rest_api_port=port, max_message_bytes=2**20)
    packed = gzip.compress(BODY)
    bomb = gzip.compress(b" " * 100 * 2**20)
    assert len(bomb) < 2**20
    cases = {
        "gzip": (packed, 200, "outputs"),
        "X-GZIP": (packed, 200, "outputs"),
        "identity": (BODY, 200, "outputs"),
        "gzip of several parts": (gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), 200, "outputs"),
        "gzip of a bomb": (bomb, 429, "error"),
        "gzip that breaks off": (packed[:-9], 400, "error"),
        "gzip that is none": (BODY, 400, "error"),
        "deflate": (zlib.compress(BODY), 400, "error"),
        "br": (BODY, 400, "error"),
    }
    for name, (body, wanted, key) in cases.items():
        code, answer, _ = ask(port, "POST", PATH, body, **{"Content-Encoding": name.split()[0]})
        assert (code, set(answer)) == (wanted, {key}), (name, answer)


def test_a_bomb_is_never_unpacked_whole():
    assert unpacked(gzip.compress(b"x" * 1000), "gzip", 1000) == b"x" * 1000
    for body in (gzip.compress(b"x" * 1001), gzip.compress(b"x" * 600) + gzip.compress(b"x" * 600)):
        with pytest.raises(RequestError, match="more than 1000 bytes"):
            unpacked(body, "gzip", 1000)


@pytest.mark.parametrize("enabled", [False, True])
def test_other_origins(serve, toy_model, enabled):
    port = free_port()
    serve(toy_model, rest_api_port=port, rest_api_enable_cors_support=enabled)
    wanted = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, GET",
        "Access-Control-Allow-Headers": "Content-Type",
    }
    for method, body, headers, code in (
        ("OPTIONS", None, {"Origin": "https://example.com"}, 200),
        ("OPTIONS", None, {}, 400),
        ("POST", BODY, {"Origin": "https://example.com"}, 200),
        ("POST", b"", {}, 400),
    ):
        got, _, answered = ask(port, method, PATH, body, **headers)
        assert got == code
        found = {name: value for name, value in answered.items() if name.startswith("Access-Control")}
        assert found == (wanted if enabled else {})


def samples(port: int, path: str = "/monitoring/prometheus/metrics") -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE" in text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_metrics_count_what_was_asked(stub, toy_model, tmp_path):
    config = tmp_path / "monitoring.txt"
    config.write_text("prometheus_config { enable: true }")
    port = free_port()
    options = ServerOptions(
        model_base_path=str(toy_model),
        model_name="toy",
        port=0,
        rest_api_port=port,
        enable_batching=True,
        monitoring_config_file=str(config),
    )
    with ModelServer(options) as server:
        client = stub(server)
        for _ in range(3):
            client.Predict(request(x=X), timeout=30)
        assert ask(port, "POST", PATH, BODY)[0] == 200
        assert ask(port, "POST", PATH, b"no JSON")[0] == 400
        for number in range(5):
            assert ask(port, "POST", f"/v1/models/unknown{number}:predict", BODY)[0] == 404
        with pytest.raises(Exception, match="NOT_FOUND"):
            client.Predict(request(x=X, model="nobody"), timeout=30)

        def count(model: str, signature: str, code: str, api: str, entrypoint: str) -> float | None:
            labels = (
                f'API="{api}",entrypoint="{entrypoint}",model_name="{model}",signature="{signature}",status="{code}"'
            )
            return samples(port).get(f":tensorflow:serving:request_count{{{labels}}}")

        wait_until(lambda: count("", "", "NOT_FOUND", "Predict", "gRPC") == 1.0)
        assert count("toy", "serving_default", "OK", "Predict", "gRPC") == 3.0
        assert count("toy", "serving_default", "OK", "Predict", "REST") == 1.0
        assert count("toy", "", "INVALID_ARGUMENT", "Predict", "REST") == 1.0
        assert count("", "", "NOT_FOUND", "Predict", "REST") == 5.0
        found = samples(port)
        latency = 'API="Predict",entrypoint="gRPC",model_name="toy"'
        assert found[f":tensorflow:serving:request_latency_count{{{latency}}}"] == 3.0
        assert 0 < found[f":tensorflow:serving:request_latency_sum{{{latency}}}"] < 30e6
        assert found['tfvs_model_version_loaded{model_name="toy",version="1"}'] == 1.0
        assert found["tfvs_batch_rows_count"] == 4.0
        assert found["tfvs_batch_rows_sum"] == 4.0
        assert found["tfvs_batches_waiting"] == 0.0
        assert found["tfvs_requests_waiting"] == 0.0
        assert not [name for name in found if "unknown" in name]


def test_there_are_no_metrics_where_none_are_wanted(rules_port, tmp_path, toy_model):
    assert ask(rules_port, "GET", "/monitoring/prometheus/metrics")[0] == 404
    config = tmp_path / "monitoring.txt"
    config.write_text('prometheus_config { enable: true path: "/metrics" }')
    port = free_port()
    options = ServerOptions(
        model_base_path=str(toy_model), model_name="toy", port=0, rest_api_port=port, monitoring_config_file=str(config)
    )
    with ModelServer(options):
        assert 'tfvs_model_version_loaded{model_name="toy",version="1"}' in samples(port, "/metrics")
        assert ask(port, "GET", "/monitoring/prometheus/metrics")[0] == 404


def test_tiles_read_are_counted(saccader_server, saccader_rest_port, served_images, stub):
    from tests.export.saccaders import pyramid_request
    from tfvs.client.transport import predict_request

    def counted() -> float:
        return samples(saccader_rest_port).get('tfvs_tiles_read_total{model_name="default"}', 0.0)

    before = counted()
    message = predict_request("default", "predict_pyramids", pyramid_request(served_images, "a.tif"))
    read = stub(saccader_server).Predict(message, timeout=60).outputs["tiles_read"].int_val[0]
    assert read > 0
    assert counted() - before == read


def test_requests_are_logged_without_their_contents(stub, toy_model, tmp_path):
    log, port = tmp_path / "requests.jsonl", free_port()
    options = ServerOptions(
        model_base_path=str(toy_model), model_name="toy", port=0, rest_api_port=port, request_log_file=str(log)
    )
    with ModelServer(options) as server:
        stub(server).Predict(request(x=X), timeout=30)
        ask(port, "POST", PATH + "?key=secret", BODY, Authorization="Bearer secret")
        ask(port, "POST", "/v1/models/nobody:predict", BODY)
        wait_until(lambda: len(log.read_text().splitlines()) == 3)
    text = log.read_text()
    assert "secret" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["entrypoint"], line["api"], line["model"], line["version"], line["code"]) for line in lines] == [
        ("gRPC", "Predict", "toy", 1, "OK"),
        ("REST", "Predict", "toy", 1, "OK"),
        ("REST", "Predict", "nobody", 0, "NOT_FOUND"),
    ]
    assert [line["signature"] for line in lines] == ["serving_default"] * 3
    assert all(0 < line["seconds"] < 30 and line["request_bytes"] >= len(BODY) for line in lines)


def test_the_log_may_be_a_sample(tmp_path):
    from tfvs.server.observation import Observation

    observation = Observation("gRPC", "Predict", "toy", 1, "serving_default", "OK", 0.001, 10)
    counts = {}
    for rate in (0.0, 0.25, 1.0):
        log = RequestLog(str(tmp_path / f"{rate}.jsonl"), rate)
        for _ in range(4000):
            log.observe(observation)
        log.close()
        counts[rate] = len((tmp_path / f"{rate}.jsonl").read_text().splitlines())
    assert (counts[0.0], counts[1.0]) == (0, 4000)
    assert 800 < counts[0.25] < 1200
    with pytest.raises(ResourceError, match="request log"):
        RequestLog(str(tmp_path / "none" / "log"), 1.0)
