"""Connections of the REST server: bounded, timed, never parsed as forms, and closed in good order."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from benchmarks.machine import free_port
from tests.server.calls import factor
from tests.server.toy import write_toy
from tests.waiting import wait_until

BODY = json.dumps({"instances": [[1, 2, 3]]})


def ask(connection: http.client.HTTPConnection, body: str = BODY, **headers: str) -> tuple[int, dict, dict]:
    connection.request("POST", "/v1/models/toy:predict", body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read()), dict(response.getheaders())


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    return connection.getresponse().status


def test_idle_connections_are_bounded_and_keep_nobody_out(serve, stub, toy_model):
    port = free_port()
    server = serve(toy_model, rest_api_port=port, rest_api_max_connections=8)
    used = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    assert ask(used)[0] == 200
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
    closed = 0
    for connection in idle[10:]:
        connection.settimeout(10)
        closed += connection.recv(1) == b""
    assert closed == 30
    assert ask(used)[0] == 200
    assert factor(stub(server)) == 2.0
    for connection in idle:
        connection.close()
    wait_until(lambda: len(server._rest._server._connections) == 1)
    assert get(port, "/v1/models/toy") == 200


def test_a_body_that_does_not_come_is_not_waited_for(serve, toy_model):
    port = free_port()
    serve(toy_model, rest_api_port=port, rest_api_timeout_in_ms=500)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
        slow.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        start = time.monotonic()
        while slow.recv(1000):
            pass
        assert 0.3 < time.monotonic() - start < 20


def test_a_request_ends_with_its_time(serve, tmp_path):
    base, port = tmp_path / "toy", free_port()
    write_toy(base / "1", 2.0, delay_steps=200_000)
    serve(base, rest_api_port=port, rest_api_timeout_in_ms=500)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    start = time.monotonic()
    assert ask(connection)[0] == 504
    assert time.monotonic() - start < 20


def test_a_form_is_a_body_like_any_other(serve, toy_model):
    port = free_port()
    serve(toy_model, rest_api_port=port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(connection, **form)[1] == {"predictions": [{"total": 12.0, "y": [2.0, 4.0, 6.0]}]}
    longest, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.is_set():
            start = time.monotonic()
            assert get(port, "/livez") == 200
            longest[0] = max(longest[0], time.monotonic() - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for path in ("/v1/models/toy:predict", "/elsewhere"):
        connection.request("POST", path, "a=1&" * 5_000_000, form)
        assert connection.getresponse().read()
    ended.set()
    watcher.join()
    assert longest[0] < 3.0  # parsing the forms takes tens of seconds


def test_probes_and_the_end_of_kept_connections(serve, toy_model):
    port = free_port()
    server = serve(toy_model, rest_api_port=port, shutdown_delay_seconds=1.0)
    assert (get(port, "/livez"), get(port, "/readyz"), get(port, "/other")) == (200, 200, 404)
    answered, last = [], []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                code, _, headers = ask(connection)
                answered.append(code)
                if headers.get("Connection") == "close":
                    last.append(code)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    wait_until(lambda: len(answered) > 20)
    ending = threading.Thread(target=server.stop)
    ending.start()
    wait_until(lambda: last)
    assert (get(port, "/livez"), get(port, "/readyz")) == (200, 503)
    for thread in [*clients, ending]:
        thread.join(60)
        assert not thread.is_alive()
    assert set(answered) == {200}
    with pytest.raises(ConnectionRefusedError):
        get(port, "/livez")


def test_ipv6(serve, stub, toy_model):
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    for host in ("::1", "[::1]"):
        port = free_port()
        server = serve(toy_model, host=host, rest_api_port=port)
        connection = http.client.HTTPConnection("::1", port, timeout=30)
        assert ask(connection)[0] == 200
        assert factor(stub(f"[::1]:{server.port}")) == 2.0


def test_queries_are_not_logged(serve, toy_model, caplog):
    port = free_port()
    serve(toy_model, rest_api_port=port)
    caplog.set_level("DEBUG")
    for path in ("/v1/models/toy?token=secret", "/other?token=secret", "/v1/models/toy/nothing?token=secret"):
        get(port, path)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    ask(connection, body="{", Authorization="secret")
    assert "secret" not in caplog.text
