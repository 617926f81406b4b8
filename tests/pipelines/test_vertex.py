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
    pytest.importorskip("kfp", reason="kfp is not installed here: make kubeflow runs this where it is")
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    done = CliRunner().invoke(main, [*ARGUMENTS, f"--output={tmp_path / 'job.json'}"])
    assert done.exit_code == 0, done.output
    job = json.loads((tmp_path / "job.json").read_text())
    # The schema: unknown fields and values of another type are refused.
    job_schema = json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob())
    spec = json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    assert json_format.MessageToDict(spec) == json_format.MessageToDict(job_schema)["pipelineSpec"]
    assert spec.schema_version
    deployment = job["pipelineSpec"]["deploymentSpec"]
    executors = json_format.ParseDict(deployment, pipeline_spec_pb2.PipelineDeploymentConfig()).executors
    for name, task in spec.root.dag.tasks.items():
        assert spec.components[task.component_ref.name].executor_label in executors, name
        assert set(task.dependent_tasks) < set(spec.root.dag.tasks), name
        known = spec.components[task.component_ref.name].input_definitions
        assert set(task.inputs.artifacts) <= set(known.artifacts), name
        assert set(task.inputs.parameters) <= set(known.parameters), name
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert {"SaccadeExampleGen", "Trainer", "Evaluator", "Pusher", "DistributionValidator"} <= set(tasks)
    arguments = deployment["executors"]["SaccadeExampleGen_executor"]["container"]["args"]
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
    assert "make kubeflow" in done.output
