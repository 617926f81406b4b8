"""Three replicas behind nginx are replaced one after another, under load, and no request fails.

What Kubernetes and its ingress do is done here by the test: it asks each replica for its readiness, gives nginx the
ready ones alone, and starts a new replica before an old one gets SIGTERM.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from benchmarks.machine import free_port
from benchmarks.nginx import PROGRAM, command
from tests.deploy.test_manifests import get, option
from tests.server.test_model_server import start_process
from tests.waiting import wait_until

BODY = json.dumps({"instances": [[1.0, 1.0, 1.0]]})
CLIENTS, REPLICAS = 4, 3


class Proxy:
    """nginx with the ready replicas alone."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder, self._ready = free_port(), folder, []
        self._process: subprocess.Popen | None = None

    def follow(self, ports: list[int]) -> None:
        """Starts nginx, or has it read its configuration again, where the ready replicas have changed."""
        ready = [port for port in ports if get(port, "/readyz") == 200]
        if ready == self._ready:
            return
        assert ready
        servers = " ".join(f"server 127.0.0.1:{port};" for port in ready)
        text = (
            f"upstream tfvs {{ {servers} keepalive 8; }} server {{ listen 127.0.0.1:{self.port}; location / {{ "
            'proxy_pass http://tfvs; proxy_http_version 1.1; proxy_set_header Connection ""; } }'
        )
        starts = command(self._folder, text)
        if self._process is None:
            self._process = subprocess.Popen(starts, stderr=subprocess.DEVNULL)
            wait_until(lambda: (self._folder / "pid").exists() and (self._folder / "pid").read_text().strip())
        else:
            subprocess.run([*starts, "-s", "reload"], check=True, stderr=subprocess.DEVNULL)
        self._ready = ready

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed (apt-get install nginx-light)")
def test_no_request_fails_while_replicas_are_replaced(toy_model, tmp_path):
    def start() -> tuple[subprocess.Popen, int]:
        port = free_port()
        arguments = (f"--shutdown_delay_seconds={option('shutdown_delay_seconds')}", f"--rest_api_port={port}")
        return start_process(f"--model_base_path={toy_model}", *arguments)[0], port

    replicas, proxy = [start() for _ in range(REPLICAS)], Proxy(tmp_path)
    stop, answered, failures = threading.Event(), [0] * CLIENTS, []

    def client(number: int) -> None:
        while not stop.is_set():
            try:
                connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
                connection.request("POST", "/v1/models/toy:predict", BODY)
                response = connection.getresponse()
                body = json.loads(response.read())
                assert response.status == 200, body
                answered[number] += 1
            except Exception as error:
                failures.append(repr(error))
            finally:
                connection.close()

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    leaving: list[subprocess.Popen] = []
    try:
        proxy.follow([port for _, port in replicas])
        for thread in clients:
            thread.start()
        time.sleep(1.0)
        for _ in range(REPLICAS):
            replicas.append(start())
            proxy.follow([port for _, port in replicas])
            old, old_port = replicas[0]
            old.send_signal(signal.SIGTERM)
            wait_until(lambda port=old_port: get(port, "/readyz") == 503, timeout_s=10)
            proxy.follow([port for _, port in replicas])
            replicas.pop(0)
            leaving.append(old)
            assert old.wait(30) == 0
        time.sleep(1.0)
    finally:
        stop.set()
        for thread in clients:
            thread.join()
        proxy.stop()
        for process in [*leaving, *(process for process, _ in replicas)]:
            process.kill()
            process.wait()
    assert not failures, failures[:5]
    assert min(answered) > 20
