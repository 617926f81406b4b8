"""Two hosts, here two processes, train as one process with two devices does."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.training.test_devices import run
from tfvs.errors import ConfigError
from tfvs.training import hosts


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def run_hosts(folder) -> list[dict]:
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    processes = []
    for index in range(2):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.training.twenty_steps", "1", "8", str(folder)],
                env={**os.environ, "TF_CONFIG": config},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        results = [process.communicate(timeout=280) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], results[0][1][-3000:]
    return [json.loads(output.splitlines()[-1]) for output, _ in results]


@pytest.mark.slow
def test_two_hosts_train_as_two_devices_do(tmp_path) -> None:
    first, second = run_hosts(tmp_path / "hosts")
    one = run(2, 8, tmp_path / "devices")
    np.testing.assert_allclose(first["steps"], one["steps"], rtol=1e-4)
    assert second["epoch"].keys() == first["epoch"].keys() == one["epoch"].keys()
    for name, value in one["epoch"].items():
        assert first["epoch"][name] == pytest.approx(value, rel=1e-4), name
        assert second["epoch"][name] == pytest.approx(value, rel=1e-4), name
    assert (tmp_path / "hosts" / "checkpoints" / "checkpoint").is_file()
    assert (tmp_path / "hosts" / "logs" / "history.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("config", "count", "index"),
    [
        ({}, 1, 0),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}, 2, 1),
        ({"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}, 2, 1),
        ({"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}, 2, 0),
    ],
)
def test_the_hosts_of_a_cluster(config, count, index, monkeypatch) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert (hosts.count_hosts(), hosts.host_index()) == (count, index)


def test_a_cluster_that_is_no_json(monkeypatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ConfigError, match="TF_CONFIG is no JSON"):
        hosts.count_hosts()
