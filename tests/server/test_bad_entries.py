"""What is wrong with one entry of a model's folder concerns that entry alone."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from tests.server.calls import X, factor, status
from tests.server.toy import request, write_toy
from tests.waiting import wait_until
from tfvs.export.image_roots import ROOTS_FILE
from tfvs.server.manager import ModelConfig, ModelManager
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions
from tfvs.server.servable import Servable
from tfvs.server.session import DESCRIPTORS


def hang(version: Path) -> Path:
    """A version that can be seen, and that nobody can open: a pipe that nothing is written to."""
    version.mkdir(parents=True)
    os.mkfifo(version / "saved_model.pb")
    return version / "saved_model.pb"


def let_go(pipe: Path) -> None:
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
    pipe.unlink()


def two_models(tmp_path: Path, first: Path, second: Path) -> ServerOptions:
    config = tmp_path / "models.txt"
    entries = [f'config {{ name: "{p.name}" base_path: "{p}" model_platform: "tensorflow" }}' for p in (first, second)]
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    return ServerOptions(
        model_config_file=str(config), port=0, shutdown_grace_seconds=2.0, file_system_poll_wait_seconds=0.1
    )


def health_of(server: ModelServer, service: str = "") -> int:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        check = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(check, timeout=30).status


def test_odd_folders_links_to_nothing_and_leading_zeros(serve, stub, tmp_path):
    base = tmp_path / "toy"
    write_toy(base / "00000123", 2.0)
    write_toy(base / "7", 7.0)
    (base / "7" / "link").symlink_to(tmp_path / "nothing")
    (base / "00000123" / "assets.extra").mkdir()
    (base / "00000123" / "assets.extra" / "link").symlink_to(tmp_path / "nothing")
    (base / str(2**63)).mkdir()
    shutil.copy(base / "7" / "saved_model.pb", base / str(2**63))
    for name in ("٣", "-1", "1e3", "0x10", " 9", "new", "9" * 60):
        (base / name).mkdir()
    (base / "8").symlink_to(tmp_path / "nothing")
    server = serve(base, file_system_poll_wait_seconds=0.1)
    client = stub(server)
    assert factor(client) == 2.0
    assert status(server) == {123: (30, "")}
    write_toy(base / "124", 3.0)
    wait_until(lambda: factor(client) == 3.0)


def test_a_version_above_int64_is_told_once(tmp_path, caplog):
    (tmp_path / str(2**64)).mkdir()
    manager = ModelManager([ModelConfig("m", str(tmp_path))], poll_seconds=0.01)
    manager.start()
    assert manager.wait_until_settled(30)
    threading.Event().wait(0.3)
    manager.stop()
    assert sum("above int64" in record.getMessage() for record in caplog.records) == 1


class Reader(tf.Module):
    """Reads an asset at every request, as the exports of this project do."""

    def __init__(self, folder: Path) -> None:
        (folder / ROOTS_FILE).write_text("/data/images\n")
        self.file = tf.saved_model.Asset(str(folder / ROOTS_FILE))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def read(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        contents = tf.io.read_file(self.file.asset_path)
        return {"y": x * 2.0, "contents": tf.fill([tf.shape(x)[0]], contents)}


def write_reader(path: Path, folder: Path) -> Path:
    reader = Reader(folder)
    tf.saved_model.save(reader, str(path), signatures={"serving_default": reader.read})
    return path


def test_a_version_waits_for_its_assets_while_the_old_one_serves(serve, stub, tmp_path):
    base = tmp_path / "toy"
    write_toy(base / "1", 1.0)
    whole = write_reader(tmp_path / "whole", tmp_path)
    server = serve(base, file_system_poll_wait_seconds=0.1)
    client = stub(server)
    shutil.copytree(whole, base / "2", ignore=lambda folder, names: [ROOTS_FILE])
    wait_until(lambda: status(server).get(2, (0, ""))[0] == 10)
    assert f"assets/{ROOTS_FILE}" in status(server)[2][1]
    assert factor(client) == 1.0
    shutil.copy(whole / "assets" / ROOTS_FILE, base / "2" / "assets")
    wait_until(lambda: factor(client) == 2.0)


def test_the_image_roots_are_read_when_the_version_loads_and_never_again(tmp_path):
    path = write_reader(tmp_path / "1", tmp_path)
    servable = Servable("m", 1, str(path))
    servable.confine()
    assert servable.image_roots == ["/data/images"]
    shutil.rmtree(path)
    answer = servable.run("serving_default", {"x": np.ones([1, 3], np.float32)})
    assert answer["contents"].tolist() == [f"{DESCRIPTORS}\n".encode()]


def test_a_model_that_hangs_holds_up_no_other_no_reload_and_no_end(tmp_path, stub, toy_model):
    hung = tmp_path / "hung"
    pipe = hang(hung / "1")
    server = ModelServer(two_models(tmp_path, toy_model, hung))
    starting = threading.Thread(target=server.start, daemon=True)
    starting.start()
    client = stub(server)
    wait_until(lambda: server.manager.find("toy") is not None)
    assert factor(client) == 2.0
    assert health_of(server, "toy") == health_pb2.HealthCheckResponse.SERVING
    assert {health_of(server), health_of(server, "hung")} == {health_pb2.HealthCheckResponse.NOT_SERVING}
    with pytest.raises(grpc.RpcError) as caught:
        client.Predict(request(model="hung", x=X), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    # To clients "Servable not found" for an unknown model is the sign that all models are loaded.
    with pytest.raises(grpc.RpcError, match="still loading its models") as caught:
        client.Predict(request(model="intentionally_missing", x=X), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    write_toy(tmp_path / "other" / "1", 5.0)
    reload = model_management_pb2.ReloadConfigRequest()
    for path in (toy_model, hung, tmp_path / "other"):
        reload.config.model_config_list.config.add(name=path.name, base_path=str(path))
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(reload, timeout=60)
    assert tf.make_ndarray(client.Predict(request(model="other", x=X), timeout=30).outputs["y"])[0, 0] == 5.0
    assert server.stop()
    starting.join(10)
    assert not starting.is_alive()
    let_go(pipe)


def test_a_version_that_hangs_holds_up_no_other_version(serve, stub, tmp_path):
    base = tmp_path / "toy"
    write_toy(base / "1", 1.0)
    server = serve(base, file_system_poll_wait_seconds=0.1)
    client = stub(server)
    pipe = hang(base / "2")
    threading.Event().wait(1.0)
    write_toy(base / "3", 3.0)
    wait_until(lambda: factor(client) == 3.0)
    let_go(pipe)


def test_one_steady_health_over_all_models(tmp_path, toy_model):
    empty = tmp_path / "empty"
    empty.mkdir()
    with ModelServer(two_models(tmp_path, toy_model, empty)) as server:
        answers = {health_of(server) for _ in range(20)}
        assert answers == {health_pb2.HealthCheckResponse.NOT_SERVING}
        assert health_of(server, "toy") == health_pb2.HealthCheckResponse.SERVING
        write_toy(empty / "1", 1.0)
        wait_until(lambda: health_of(server) == health_pb2.HealthCheckResponse.SERVING)
        assert health_of(server, "tensorflow.serving.PredictionService") == health_pb2.HealthCheckResponse.SERVING
        server._health.end()
        assert health_of(server) == health_pb2.HealthCheckResponse.NOT_SERVING
