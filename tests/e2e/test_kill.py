"""``kill -9`` during each component in turn; started again, the run ends as one that was never stopped."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.command import ROOT, Pipeline
from tests.e2e.fivek import write_fivek
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.tfx]
SETTINGS = {
    "proxy": {"height": 16, "width": 16},
    "tile_size": 128,
    "model": {"num_steps": 1, "crop_size": 16, "min_scale": 0.3, "max_scale": 0.9},
    "train": {"epochs": 5, "batch_size": 12, "zoom_from": 0.9, "zoom_to": 0.6},
    "ingest_workers": 1,
}
COUNTS = {"train": 24, "eval": 2, "test": 4}
# What the log says while the component is at work, and how long after that the process is killed.
MOMENTS = {
    "SaccadeExampleGen": ("Component SaccadeExampleGen is running", 1.0),
    "StatisticsGen": ("Component StatisticsGen is running", 1.0),
    "SchemaGen": ("Component SchemaGen is running", 0.0),
    "ImportSchemaGen": ("Component ImportSchemaGen is running", 0.0),
    "ExampleValidator": ("Component ExampleValidator is running", 0.0),
    "DistributionValidator": ("Component DistributionValidator is running", 0.0),
    "Trainer": ("tfvs: epoch 2/5", 0.1),
    "Evaluator": ("Component Evaluator is running", 2.0),
    "Pusher": ("Component Pusher is running", 0.0),
}


class Runner:
    """Runs a pipeline again and again; see warm_runner."""

    def __init__(self, pipeline: Pipeline, log: Path) -> None:
        self.pipeline, self.log = pipeline, log
        command = [sys.executable, "-m", "tests.e2e.warm_runner"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=pipeline.environ
        )

    def start(self) -> int:
        """Starts a run, with an empty log; returns its process group."""
        self.log.write_text("")
        job = {"file": self.pipeline.file, "environ": self.pipeline.environ, "log": str(self.log)}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        """The run's exit code."""
        return int(self.process.stdout.readline())

    def kill_during(self, component: str) -> str:
        """Starts a run and kills it; returns its log."""
        sentence, delay_s = MOMENTS[component]
        group = self.start()
        wait_until(lambda: sentence in self.said(), timeout_s=300, told=lambda: self.said()[-6000:])
        time.sleep(delay_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL, self.said()[-6000:]
        return self.said()

    def said(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def executions(pipeline: Pipeline) -> dict[str, list[str]]:
    """Component → the states of all its executions, in all runs."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(pipeline.config.metadata_path)
    store = metadata_store.MetadataStore(connection)
    states: dict[str, list[str]] = {}
    for execution in store.get_executions():
        for context in store.get_contexts_by_execution(execution.id):
            if context.type == "node":
                component = context.name.removeprefix(f"{pipeline.name}.")
                states.setdefault(component, []).append(mlmd.Execution.State.Name(execution.last_known_state))
    return states


def result(pipeline: Pipeline) -> dict[str, object]:
    """All that a run is for: records, learning curves, the evaluation, and the pushed model's answers."""
    from pipelines.reporting.evaluation import read_evaluation
    from tfvs.data.dataset import split_files
    from tfvs.evaluation.answers import read_answers

    record, config = pipeline.last_run(), pipeline.config
    examples = record.artifact("Examples").uri
    shards = sorted(Path(examples).rglob("*.gz"))
    (version,) = pipeline.pushed()
    found = read_answers(version, split_files(examples, "test"), limit=100)
    history = Path(record.artifact("ModelRun").uri, "history.csv").read_text().splitlines()
    overall = read_evaluation(record.artifact("ModelEvaluation").uri, config.class_names).slices[0]
    return {
        "shards": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards},
        "pyramids": sorted(path.name for path in config.pyramid_root.rglob("*.tif")),
        "epochs": sorted({line.split(",")[0] for line in history}),
        "answers": np.stack([answer.probabilities for answer in found]),
        "boxes": np.stack([answer.boxes for answer in found]),
        "metrics": overall.metrics,
        "blessed": record.artifact("ModelBlessing").properties["blessed"],
    }


def make(folder: Path, data: Path) -> Pipeline:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    return Pipeline("adobe5k", folder, data)


def test_killed_during_each_component_it_ends_in_the_same_result(tmp_path) -> None:
    from pipelines.pipeline import create_pipeline

    data = write_fivek(tmp_path / "fivek", COUNTS)
    whole, broken = make(tmp_path / "whole", data), make(tmp_path / "broken", data)
    reference, runner = Runner(whole, tmp_path / "whole.log"), Runner(broken, tmp_path / "broken.log")
    try:
        reference.start()
        order = [node.id for node in create_pipeline(broken.config).components if node.id in MOMENTS]
        assert len(order) == len(MOMENTS)
        logs = {component: runner.kill_during(component) for component in order}
        runner.start()
        assert runner.wait() == 0, runner.log.read_text()[-6000:]
        assert reference.wait() == 0, reference.log.read_text()[-6000:]
    finally:
        reference.close()
        runner.close()
    after = logs[order[order.index("Trainer") + 1]]
    assert "tfvs: resuming after epoch" in after  # that run went on with the training that was killed

    states = executions(broken)
    for component in MOMENTS:
        assert states[component].count("COMPLETE") == 1, (component, states[component])
    finished_early = [name for name in MOMENTS if "RUNNING" not in states[name]]
    assert {"SaccadeExampleGen", "StatisticsGen", "Trainer", "Evaluator"}.isdisjoint(finished_early), states

    expected, received = result(whole), result(broken)
    assert received["blessed"] == expected["blessed"] == 1
    for name in ("shards", "pyramids", "epochs"):
        assert received[name] == expected[name], name
    np.testing.assert_allclose(received["answers"], expected["answers"], atol=1e-4)
    np.testing.assert_allclose(received["boxes"], expected["boxes"], atol=1e-4)
    for name, value in expected["metrics"].items():
        assert received["metrics"][name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
