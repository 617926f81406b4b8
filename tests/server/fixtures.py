"""Fixtures of the tests of export, server and client; each conftest imports them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

pytest.importorskip("tensorflow_serving", reason="tfvs[serving] is not installed")

from tensorflow_serving.apis import prediction_service_pb2_grpc

from benchmarks.machine import free_port
from tests.export.saccaders import (
    CATEGORICAL,
    CATEGORICAL_LOOKS,
    CATEGORICAL_TEMPERATURE,
    adapt,
    export_small,
    picture,
    write_picture_pyramid,
)
from tests.server.toy import write_toy
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base path with version 1, factor 2."""
    base = tmp_path_factory.mktemp("models") / "toy"
    write_toy(base / "1", 2.0, warm_up=[[1.0, 2.0, 3.0]])
    return base


def export_once(tmp_path_factory: pytest.TempPathFactory, name: str, **changes: Any) -> Path:
    """An export that all processes of a test run share, since tracing its signatures takes half a minute.

    Args:
      tmp_path_factory: Pytest's.
      name: Name of the export.
      **changes: Arguments of :func:`tests.export.saccaders.export_small`.
    """
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / name / "1"
        return path if path.exists() else export_small(path.parent, [folder / "no_images"], **changes)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small saccader; :func:`tests.export.saccaders.adapt` gives it other roots."""
    return export_once(tmp_path_factory, "exported")


@pytest.fixture(scope="session")
def exported_categorical(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small saccader with places, evidence, two scales and a temperature; it learned two looks and takes three."""
    changes = {"looks": CATEGORICAL_LOOKS, "temperature": CATEGORICAL_TEMPERATURE, **CATEGORICAL}
    return export_once(tmp_path_factory, "categorical", **changes)


@pytest.fixture(scope="session")
def served_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image root of ``saccader_server``, with one pyramid, ``a.tif``."""
    folder = tmp_path_factory.mktemp("served") / "images"
    folder.mkdir()
    write_picture_pyramid(folder / "a.tif", picture(300, 400, seed=1))
    return folder


@pytest.fixture(scope="session")
def saccader_rest_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def saccader_server(
    served_images: Path, saccader_rest_port: int, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelServer]:
    """A server of the small saccader, which takes seconds to load: it batches, bounds requests and has metrics."""
    base = tmp_path_factory.mktemp("saccader")
    adapt(exported, base, [served_images])
    monitoring = base.parent / f"{base.name}.txt"
    monitoring.write_text("prometheus_config { enable: true }")
    options = ServerOptions(
        model_base_path=str(base),
        port=0,
        rest_api_port=saccader_rest_port,
        monitoring_config_file=str(monitoring),
        enable_batching=True,
        max_request_pixels=1_000_000,
    )
    with ModelServer(options) as running:
        yield running


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """Starts servers on free ports; they end with the test."""
    servers: list[ModelServer] = []

    def start(base: Path, **options: Any) -> ModelServer:
        values = {"model_name": "toy", "port": 0, "shutdown_grace_seconds": 5.0, **options}
        server = ModelServer(ServerOptions(model_base_path=str(base), **values))
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def stub() -> Iterator[Callable[..., prediction_service_pb2_grpc.PredictionServiceStub]]:
    """Opens the stub of TensorFlow Serving's documentation."""
    channels: list[grpc.Channel] = []

    def open_stub(server: ModelServer | int | str, **channel_options: Any) -> Any:
        port = server.port if isinstance(server, ModelServer) else server
        options = [("grpc.max_send_message_length", -1), *channel_options.items()]
        address = port if isinstance(port, str) else f"127.0.0.1:{port}"
        channel = grpc.insecure_channel(address, options=options)
        channels.append(channel)
        return prediction_service_pb2_grpc.PredictionServiceStub(channel)

    yield open_stub
    for channel in channels:
        channel.close()
