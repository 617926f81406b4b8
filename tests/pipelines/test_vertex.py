"""The pipeline as Vertex AI would run it: compiled, not run."""

import importlib.util
import json

import pytest
from click.testing import CliRunner

pytest.importorskip("tfx", reason="TFX is not installed")

from pipelines.vertex import main
from tfvs.errors import ConfigError, ResourceError

pytestmark = pytest.mark.tfx
ARGUMENTS = ["adobe5k", "--image=r/p/tfvs:1", "--data=gs://b/fivek", "--runs=gs://b/runs", "--project=p", "--region=r"]


def test_the_compiled_job(tmp_path) -> None:
    pytest.importorskip("kfp", reason="kfp is not installed; see docs/pipelines.md")
    done = CliRunner().invoke(main, [*ARGUMENTS, f"--output={tmp_path / 'job.json'}"])
    assert done.exit_code == 0, done.output
    job = json.loads((tmp_path / "job.json").read_text())
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert {"SaccadeExampleGen", "Trainer", "Evaluator", "Pusher", "DistributionValidator"} <= set(tasks)
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    arguments = executors["SaccadeExampleGen_executor"]["container"]["args"]
    assert "--runner=DataflowRunner" in arguments
    assert "--direct_running_mode=multi_threading" not in arguments
    assert job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"] == {"data": {"type": "STRING"}}
    assert "gs://b/fivek" in json.dumps(job["runtimeConfig"])
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://b/runs/adobe5k/artifacts"


def test_a_path_of_this_machine(tmp_path) -> None:
    done = CliRunner().invoke(main, [*ARGUMENTS, "--data=/data/fivek"])
    assert done.exit_code == ConfigError.exit_code
    assert "data is not reachable from a fleet" in done.output


@pytest.mark.skipif(importlib.util.find_spec("kfp") is not None, reason="kfp is installed")
def test_without_kfp_it_says_what_to_install(tmp_path) -> None:
    done = CliRunner().invoke(main, [*ARGUMENTS, f"--output={tmp_path / 'job.json'}"])
    assert done.exit_code == ResourceError.exit_code
    assert "kfp==2.5.0" in done.output
