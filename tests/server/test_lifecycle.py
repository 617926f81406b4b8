"""The end of the process: it comes, whatever the process is doing."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import grpc
import pytest

from tests.server.calls import X
from tests.server.test_model_server import start_process
from tests.server.toy import request, write_toy
from tfvs.server.lifecycle import EXIT_CUT_OFF


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("slow") / "toy"
    write_toy(base / "1", 3.0, delay_steps=2_000_000)
    return base


def begin(stub, port: int) -> grpc.Future:
    future = stub(port).Predict.future(request(x=X), timeout=600)
    time.sleep(1.0)
    assert not future.done()
    return future


def test_after_the_grace_the_process_is_gone_and_says_so(stub, slow):
    process, port = start_process(f"--model_base_path={slow}", "--shutdown_grace_seconds=2")
    try:
        future = begin(stub, port)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError):
            future.result()
        assert process.wait(30) == EXIT_CUT_OFF
        assert time.monotonic() - start < 6
    finally:
        process.kill()
        process.wait()


def test_a_second_signal_ends_it_at_once(stub, slow):
    process, port = start_process(f"--model_base_path={slow}", "--shutdown_grace_seconds=300")
    try:
        future = begin(stub, port)  # kept: a call that nobody holds is cancelled, and the server is then free to end
        process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert process.poll() is None
        assert not future.done()
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
        assert time.monotonic() - start < 5
    finally:
        process.kill()
        process.wait()
