"""``make run``: stopped with Ctrl-C in the middle of a component it goes on, and a further run reuses everything."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.config import load_config
from pipelines.reporting.run_record import read_run
from pipelines.two_digit_mnist import DEFAULT
from tfvs.data.two_digit_mnist import TwoDigitConfig, write

pytestmark = [pytest.mark.e2e, pytest.mark.tfx]
ROOT = Path(__file__).resolve().parents[2]
CANVASES = TwoDigitConfig(task="one", canvas_sizes=((96, 128), (104, 104)), digit_px=64, num_distractors=2)
SETTINGS = {
    "model": {"num_steps": 1, "crop_size": 32, "min_scale": 0.7, "max_scale": 1.0},
    "train": {"epochs": 8, "batch_size": 32, "zoom_from": 1.0, "zoom_to": 1.0},
    "tile_size": 64,
    "minimum_accuracy": 0.25,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write(str(folder / "data"), CANVASES, {"train": 640, "eval": 64, "test": 128})
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    return folder


def run(folder: Path, *, stop_at: str | None = None) -> tuple[int, str]:
    """Runs the command in a process group of its own; Ctrl-C when a line of its progress holds ``stop_at``."""
    command = [sys.executable, "-m", "pipelines.run", "two_digit_mnist", "--data", str(folder / "data")]
    process = subprocess.Popen(
        [*command, "--runs", str(folder / "runs")], cwd=ROOT, text=True, start_new_session=True,
        env={**os.environ, "TFVS_CONFIG": str(folder / "config.json")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in what a shell runs with &
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if stop_at and stop_at in line:
            os.killpg(process.pid, signal.SIGINT)
            stop_at = None
    return process.wait(), "".join(said)


def states(folder: Path) -> dict[str, str]:
    config = load_config(DEFAULT, {"TFVS_RUNS_ROOT": str(folder / "runs"), "TFVS_DATA": str(folder / "data")})
    return {step.component: step.state for step in read_run(config.metadata_path, config.name).steps}


@pytest.mark.parametrize("moment", ["SaccadeExampleGen ...", "epoch 3/8", "Evaluator ..."])
def test_ctrl_c_is_one_sentence(folder, moment: str) -> None:
    code, said = run(folder, stop_at=moment)
    assert code == 130, said
    assert "Stopped; the same command goes on from here." in said
    assert "Traceback" not in said


def test_it_goes_on_to_a_pushed_model_and_a_sheet(folder) -> None:
    code, said = run(folder)
    assert code == 0, said
    assert "epoch" not in said, "What was trained before the stop was trained again."
    assert len(list((folder / "runs").rglob("serving/two_digit_mnist/*/saved_model.pb"))) == 1
    assert (folder / "runs" / "two_digit_mnist" / "saccades.png").stat().st_size > 10_000


def test_a_further_run_reuses_everything(folder) -> None:
    code, said = run(folder)
    assert code == 0, said
    assert {states(folder)[name] for name in ("SaccadeExampleGen", "StatisticsGen", "Trainer", "Evaluator")} == {
        "reused"
    }
