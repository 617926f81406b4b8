"""Two hosts, here two processes, train as one process with two devices does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.preparation.test_job_folder import make_job
from tests.training import two_hosts
from tests.training.test_devices import run
from tfvs.datasets.writing import encode_png
from tfvs.errors import ConfigError
from tfvs.preparation.local import run_local
from tfvs.training import hosts


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start_hosts(module: str, *arguments: object) -> list[subprocess.Popen]:
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(2)]
    return [
        subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "TF_CONFIG": config},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for config in configs
    ]


def results_of(processes: list[subprocess.Popen], timeout_s: float = 280) -> list[dict]:
    try:
        results = [process.communicate(timeout=timeout_s) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], results[0][1][-3000:]
    return [json.loads(output.splitlines()[-1]) for output, _ in results]


@pytest.mark.slow
def test_two_hosts_train_as_two_devices_do(tmp_path) -> None:
    first, second = results_of(start_hosts("tests.training.twenty_steps", 1, 8, tmp_path / "hosts"))
    one = run(2, 8, tmp_path / "devices")
    np.testing.assert_allclose(first["steps"], one["steps"], rtol=1e-4)
    assert second["epoch"].keys() == first["epoch"].keys() == one["epoch"].keys()
    for name, value in one["epoch"].items():
        assert first["epoch"][name] == pytest.approx(value, rel=1e-4), name
        assert second["epoch"][name] == pytest.approx(value, rel=1e-4), name
    assert (tmp_path / "hosts" / "checkpoints" / "checkpoint").is_file()
    assert (tmp_path / "hosts" / "logs" / "history.csv").read_text().count("\n") == 2


@pytest.mark.slow
@pytest.mark.timeout(1700)
def test_two_hosts_train_from_tiles_on_files_of_their_own(tmp_path: Path) -> None:
    for number in range(96):
        shade = np.random.default_rng(number).integers(0, 100, (48, 64), dtype=np.uint8) + np.uint8(100 * (number % 2))
        path = tmp_path / "in" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(shade))
    run_local(make_job(tmp_path / "in", tmp_path / "prepared", splits={"train": 1}, num_shards=4))
    program = ("tests.training.two_hosts", tmp_path / "prepared", tmp_path / "trained", 16)
    first, second = results_of(start_hosts(*program), timeout_s=1600)
    assert first["history"] == second["history"]  # sums over both hosts
    losses = [epoch["loss"] for epoch in first["history"]]
    assert len(losses) == two_hosts.EPOCHS
    assert losses[-1] < losses[0]


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
