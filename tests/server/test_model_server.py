"""The server as a process: signals, ports, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest
import tensorflow as tf

from tests.server.calls import X, factor
from tests.server.toy import request, write_toy
from tfvs.errors import ConfigError, DataError, ResourceError
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def start_process(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    """``python -m tfvs serve`` on a free port, once it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tfvs", "serve", "--port=0", "--model_name=toy", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Running gRPC ModelServer at" in line:
            return process, int(line.split(" at ")[1].split()[0].rsplit(":", 1)[1])
    raise AssertionError(f"the server ended with {process.wait()}")


def test_sigterm_finishes_what_is_in_flight(stub, tmp_path):
    base = tmp_path / "toy"
    write_toy(base / "1", 3.0, delay_steps=15_000)
    process, port = start_process(f"--model_base_path={base}", "--enable_batching=true")
    try:
        client = stub(port)
        futures = [client.Predict.future(request(x=X), timeout=120) for _ in range(3)]
        time.sleep(0.3)
        assert not any(future.done() for future in futures)
        process.send_signal(signal.SIGTERM)
        for future in futures:
            assert tf.make_ndarray(future.result().outputs["y"])[0, 0] == 3.0
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    with pytest.raises(grpc.RpcError):
        factor(client, timeout=2)


def test_a_call_that_does_not_exist_is_unimplemented_and_logs_no_traceback(toy_model):
    process, port = start_process(f"--model_base_path={toy_model}")
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for name in ("PredictionService/Nothing", "SessionService/SessionRun"):
                with pytest.raises(grpc.RpcError) as caught:
                    channel.unary_unary(f"/tensorflow.serving.{name}")(b"", timeout=30)
                assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "Traceback" not in log


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tfvs", *arguments], capture_output=True, text=True, env=_environment(), check=False
    )


def test_a_port_in_use_is_one_sentence_and_exit_code_5(serve, toy_model):
    server = serve(toy_model)
    result = command("serve", f"--port={server.port}", f"--model_base_path={toy_model}")
    assert result.returncode == 5
    lines = [line for line in result.stderr.splitlines() if line.startswith("tfvs:")]
    assert len(lines) == 1
    assert f"Cannot listen on 127.0.0.1:{server.port}" in lines[0]
    assert "Traceback" not in result.stderr


def test_bad_options_are_clear(tmp_path, toy_model):
    with pytest.raises(DataError, match="no folder"):
        ModelServer(ServerOptions(model_base_path=str(tmp_path / "none"), port=0))
    for options in (
        {},
        {"model_base_path": "a", "port": 70000},
        {"model_base_path": "a", "batching_parameters_file": "b"},
    ):
        with pytest.raises(ConfigError):
            ServerOptions(**options)
    with pytest.raises(ResourceError):
        ModelServer(ServerOptions(model_base_path=str(toy_model), port=0, host="192.0.2.1"))


def test_it_listens_on_loopback_alone(serve, toy_model):
    server = serve(toy_model)
    listening = {
        c.laddr.ip.removeprefix("::ffff:")
        for c in psutil.Process().net_connections()
        if c.laddr and c.laddr.port == server.port
    }
    assert listening == {"127.0.0.1"}
