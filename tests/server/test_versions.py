"""Versions come and go while the server answers."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc

from tests.server.calls import X, factor, status
from tests.server.toy import request, write_toy
from tests.waiting import wait_until
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions


def swaps_under_load(server: ModelServer, client, base: Path, count: int) -> tuple[int, list[str]]:
    """Writes ``count`` versions under load; returns how many requests were answered, and the failures."""
    answered, failures, ended = [0], [], threading.Event()

    def load() -> None:
        while not ended.is_set():
            try:
                factor(client)
                answered[0] += 1
            except grpc.RpcError as error:
                failures.append(f"{error.code()} {error.details()}")

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load) for _ in range(4)]
        try:
            for version in range(2, 2 + count):
                write_toy(base / str(version), float(version))
                wait_until(lambda version=version: factor(client) == version)
        finally:
            ended.set()
        for future in loads:
            future.result()
    return answered[0], failures


def test_hot_swaps_drop_no_request(serve, stub, tmp_path):
    base = tmp_path / "toy"
    write_toy(base / "1", 1.0)
    server = serve(base, file_system_poll_wait_seconds=0.1, enable_batching=True)
    answered, failures = swaps_under_load(server, stub(server), base, 3)
    assert failures == []
    assert answered > 20
    wait_until(lambda: [state for state, _ in status(server).values()].count(30) == 1)
    assert status(server)[4] == (30, "")


@pytest.mark.slow
@pytest.mark.parametrize("batching", [False, True])
def test_twenty_hot_swaps_drop_no_request(serve, stub, tmp_path, batching):
    base = tmp_path / "toy"
    write_toy(base / "1", 1.0)
    server = serve(base, file_system_poll_wait_seconds=0.1, enable_batching=batching)
    _, failures = swaps_under_load(server, stub(server), base, 20)
    assert failures == []


def test_a_half_copied_or_broken_version_never_serves(serve, stub, tmp_path):
    base, whole = tmp_path / "toy", tmp_path / "elsewhere"
    write_toy(base / "1", 1.0)
    write_toy(whole / "2", 2.0)
    server = serve(base, file_system_poll_wait_seconds=0.1)
    client = stub(server)
    (base / "2" / "variables").mkdir(parents=True)
    files = sorted(path.relative_to(whole / "2") for path in (whole / "2").rglob("*") if path.is_file())
    order = [Path("saved_model.pb"), *(file for file in files if file.name != "saved_model.pb")]
    for file in order[:-1]:
        data = (whole / "2" / file).read_bytes()
        for part in (data[: len(data) // 2], data):
            (base / "2" / file).write_bytes(part)
            time.sleep(0.4)
            assert factor(client) == 1.0
    wait_until(lambda: status(server).get(2, (0, ""))[0] == 50)
    assert "Cannot load" in status(server)[2][1]
    shutil.copy(whole / "2" / order[-1], base / "2" / order[-1])
    wait_until(lambda: factor(client) == 2.0)


def test_a_version_whose_warm_up_fails_does_not_serve(serve, stub, tmp_path):
    base = tmp_path / "toy"
    write_toy(base / "1", 1.0)
    server = serve(base, file_system_poll_wait_seconds=0.1)
    write_toy(base / "2", 2.0, warm_up=[1.0, 2.0, 3.0])  # no batch of rows
    wait_until(lambda: 2 in status(server) and status(server)[2][0] == 50)
    assert "Warm-up" in status(server)[2][1]
    assert factor(stub(server)) == 1.0


def test_status_and_health_and_reload(serve, tmp_path, toy_model):
    server = serve(toy_model)
    assert status(server) == {1: (30, "")}
    for name, version in (("nope", None), ("toy", 7)):
        with pytest.raises(grpc.RpcError) as caught:
            status(server, name, version)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    write_toy(tmp_path / "other" / "5", 5.0)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == 1
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        reload = model_management_pb2.ReloadConfigRequest()
        reload.config.model_config_list.config.add(name="other", base_path=str(tmp_path / "other"))
        models.HandleReloadConfigRequest(reload, timeout=60)
        client = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = client.Predict(request(model="other", x=X), timeout=30)
        assert tf.make_ndarray(answer.outputs["y"])[0, 0] == 5.0
        with pytest.raises(grpc.RpcError) as caught:
            client.Predict(request(x=X), timeout=30)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        reload.config.model_config_list.config[0].base_path = str(tmp_path / "missing")
        with pytest.raises(grpc.RpcError) as caught:
            models.HandleReloadConfigRequest(reload, timeout=60)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert client.Predict(request(model="other", x=X), timeout=30).outputs


def test_several_models_from_a_config_file(tmp_path, toy_model, stub):
    write_toy(tmp_path / "second" / "3", 3.0)
    write_toy(tmp_path / "second" / "4", 4.0)
    config = tmp_path / "models.txt"
    config.write_text(
        "model_config_list {\n"
        f'  config {{ name: "toy" base_path: "{toy_model}" model_platform: "tensorflow" }}\n'
        f'  config {{ name: "second" base_path: "{tmp_path / "second"}" model_version_policy {{ all {{}} }} }}\n'
        "}\n"
    )
    with ModelServer(ServerOptions(model_config_file=str(config), port=0, shutdown_grace_seconds=2.0)) as server:
        client = stub(server)
        assert factor(client) == 2.0
        for version in (3, 4):
            message = request(model="second", x=X)
            message.model_spec.version.value = version
            answer = client.Predict(message, timeout=30)
            assert tf.make_ndarray(answer.outputs["y"])[0, 0] == version
