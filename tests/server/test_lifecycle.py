"""The end of the process: it comes, whatever the process is doing."""

from __future__ import annotations

import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import tensorflow as tf

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


SETTINGS, PING, GOAWAY, ACKNOWLEDGED = 0x04, 0x06, 0x07, 0x01


def frames(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Kind and payload of every HTTP/2 frame until the peer closes (RFC 9113, section 4.1); pings are answered."""
    stream = connection.makefile("rb")
    while len(head := stream.read(9)) == 9:
        kind, flags, payload = head[3], head[4], stream.read(int.from_bytes(head[:3], "big"))
        if kind == PING and not flags & ACKNOWLEDGED:
            connection.sendall(head[:4] + bytes([ACKNOWLEDGED]) + head[5:] + payload)
        yield kind, payload


def test_grpc_clients_are_told_goaway_and_calls_in_flight_are_finished(stub, tmp_path):
    write_toy(tmp_path / "toy" / "1", 3.0, delay_steps=8_000)
    process, port = start_process(f"--model_base_path={tmp_path / 'toy'}")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as idle:
            idle.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + bytes([SETTINGS]) + bytes(5))
            arriving = frames(idle)
            assert next(arriving)[0] == SETTINGS
            future = stub(port).Predict.future(request(x=X), timeout=120)
            time.sleep(0.3)
            assert not future.done()
            process.send_signal(signal.SIGTERM)
            last_stream, error = struct.unpack(">II", next(payload[:8] for kind, payload in arriving if kind == GOAWAY))
            assert error == 0
            assert last_stream == 2**31 - 1  # what has been sent already is still answered
            assert not future.done()
            assert any(kind == GOAWAY for kind, _ in arriving)  # the last one; then the server closes
            assert tf.make_ndarray(future.result().outputs["y"])[0, 0] == 3.0
        start = time.monotonic()
        assert process.wait(60) == 0
        assert time.monotonic() - start < 10
    finally:
        process.kill()
        process.wait()
