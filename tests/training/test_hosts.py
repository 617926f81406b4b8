"""Two hosts, here two processes, train as one process with two devices does."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hosts import start_hosts, write_images
from tests.preparation.test_job_folder import make_job
from tests.training import two_hosts
from tests.training.test_devices import run
from tfvs.errors import ConfigError, TrainingError
from tfvs.preparation.local import run_local
from tfvs.training import hosts


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


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder / "in", 96, 48, 64)
    run_local(make_job(folder / "in", folder / "prepared", splits={"train": 1}, num_shards=4))
    return folder / "prepared"


@pytest.fixture(scope="module")
def undisturbed(prepared: Path) -> list[dict]:
    return results_of(start_hosts("tests.training.two_hosts", prepared, prepared / "undisturbed", 16), timeout_s=1600)


@pytest.mark.slow
@pytest.mark.timeout(1700)
def test_two_hosts_train_from_tiles_on_files_of_their_own(undisturbed: list[dict]) -> None:
    first, second = undisturbed
    assert first["history"] == second["history"]  # sums over both hosts
    losses = [epoch["loss"] for epoch in first["history"]]
    assert len(losses) == two_hosts.EPOCHS
    assert losses[-1] < losses[0]


@pytest.mark.slow
@pytest.mark.timeout(1700)
def test_a_killed_host_ends_both_and_they_go_on_as_if_undisturbed(prepared: Path, undisturbed: list[dict]) -> None:
    program = "tests.training.two_hosts", prepared, prepared / "killed", 16
    first, second = start_hosts(*program)
    try:
        assert any(line.startswith("epoch 2/") for line in first.stdout), first.stderr.read()[-3000:]
        second.kill()
        _, said = first.communicate(timeout=300)  # a host that is alone ends, and does not wait for ever
        assert first.returncode == TrainingError.exit_code
        assert "Another host has ended or cannot be reached" in said
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    again, _ = results_of(start_hosts(*program), timeout_s=1600)
    assert 1 <= len(again["history"]) <= two_hosts.EPOCHS - 1
    for epoch, expected in zip(again["history"][::-1], undisturbed[0]["history"][::-1], strict=False):
        assert epoch["loss"] == pytest.approx(expected["loss"], rel=1e-3)


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
