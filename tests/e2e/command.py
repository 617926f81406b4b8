"""TFX's command line on a pipeline of this repository, and what ML Metadata knows afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from pipelines.config import PipelineConfig, load_pipeline
from pipelines.reporting.run_record import RunRecord, read_run

ROOT = Path(__file__).resolve().parents[2]
TFX = str(Path(sys.executable).with_name("tfx"))
# What every run has, whatever is optional.
COMPONENTS = {
    "SaccadeExampleGen", "StatisticsGen", "SchemaGen", "ImportSchemaGen", "ExampleValidator", "DistributionValidator",
    "Trainer", "Evaluator", "Pusher",
}  # fmt: skip


class Pipeline:
    """A pipeline whose data, settings and runs lie in one folder.

    Args:
      name: Name of the pipeline.
      folder: With ``config.json``; runs go to ``folder/runs``.
      data: The raw data.
    """

    def __init__(self, name: str, folder: Path, data: Path) -> None:
        self.name, self.data = name, data
        self.file = str(ROOT / "pipelines" / f"{name}.py")
        self.environ = {
            **os.environ,
            "TFVS_CONFIG": str(folder / "config.json"),
            "TFVS_DATA": str(data),
            "TFVS_RUNS_ROOT": str(folder / "runs"),
            "LOCAL_HOME": str(folder / "tfx"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    @property
    def config(self) -> PipelineConfig:
        return load_pipeline(self.name, self.environ)

    def tfx(self, *arguments: str, **changes: str) -> str:
        """Runs the command; returns all it wrote."""
        done = subprocess.run(
            [TFX, *arguments],
            env={**self.environ, **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def make_run(self, *, stop_at: str | None = None) -> tuple[int, str]:
        """Runs ``make run`` in a process group of its own; Ctrl-C when a line of its progress holds ``stop_at``."""
        command = [sys.executable, "-m", "pipelines.run", self.name, "--data", str(self.data)]
        process = subprocess.Popen(
            [*command, "--runs", self.environ["TFVS_RUNS_ROOT"]], cwd=ROOT, text=True, start_new_session=True,
            env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in what a shell runs with &
        )  # fmt: skip
        said = []
        for line in process.stdout:
            said.append(line)
            if stop_at and stop_at in line:
                os.killpg(process.pid, signal.SIGINT)
                stop_at = None
        return process.wait(), "".join(said)

    def last_run(self) -> RunRecord:
        return read_run(self.config.metadata_path, self.name)

    def states(self) -> dict[str, str]:
        return {step.component: step.state for step in self.last_run().steps}

    def pushed(self) -> list[Path]:
        return sorted(path.parent for path in self.config.serving_root.glob("*/saved_model.pb"))
