"""The same job on other runners: two worker processes here, and Beam's portable runner with a pool of workers."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import apache_beam as beam
import psutil
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from components.transforms import Layout, PrepareRecords
from tests.components.test_job import IN_CHILDREN, OPTIONS, contents, make_job, run
from tests.preparation.images import write_folder
from tfvs.preparation.job_folder import JobFolder
from tfvs.preparation.readers import make_reader

ROOT = Path(__file__).resolve().parents[2]

POOL = """
import sys
import tarfile
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
address, server = BeamFnExternalWorkerPoolServicer.start(use_process=True, port=0)
print(address, flush=True)
sys.stdin.read()
server.stop(0)
"""
# Beam's local job service has its workers one after the other, whatever is asked for, and no option for more.
JOB_SERVICE = """
import sys
import tarfile
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner

class TwoWorkers(fn_runner.FnApiRunner):
    def __init__(self, **options):
        super().__init__(**options)
        self._num_workers = 2

fn_runner.FnApiRunner = TwoWorkers
servicer = local_job_service.LocalJobServicer()
print(servicer.start_grpc_server(0), flush=True)
sys.stdin.read()
"""


def _start(code: str) -> subprocess.Popen:
    # Beam's pool starts its workers as `python` from PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    )


def _stop(process: subprocess.Popen) -> None:
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_of_the_direct_runner(tmp_path):
    write_folder(tmp_path / "in", 24)
    run(make_job(tmp_path / "in", tmp_path / "one"))
    run(
        make_job(tmp_path / "in", tmp_path / "two", options=IN_CHILDREN),
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    )
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_portable_runner_with_two_external_workers(tmp_path):
    write_folder(tmp_path / "in", 24)
    run(make_job(tmp_path / "in", tmp_path / "one"))
    pool, service = _start(POOL), _start(JOB_SERVICE)
    try:
        workers = pool.stdout.readline().strip()
        endpoint = service.stdout.readline().strip()
        run(
            make_job(tmp_path / "in", tmp_path / "two", options=IN_CHILDREN),
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{endpoint.rpartition(':')[2]}",
            "--environment_type=EXTERNAL",
            f"--environment_config={workers}",
            "--sdk_worker_parallelism=2",
        )
        harnesses = [
            child for child in psutil.Process(pool.pid).children() if "SdkHarness" in " ".join(child.cmdline())
        ]
        assert len(harnesses) == 2
    finally:
        _stop(pool)
        _stop(service)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def _documented_options() -> list[str]:
    rows = (ROOT / "docs" / "data.md").read_text().splitlines()
    return [row.split("`")[1] for row in rows if row.startswith("| ") and "`--" in row and "runn" in row]


def _build(text: str) -> beam.Pipeline:
    """The job's pipeline on the runner of these options, not run."""
    pipeline = beam.Pipeline(options=PipelineOptions(text.split()))  # Beam's own validator says what is missing
    layout = Layout(JobFolder("gs://my-bucket/r/.job-1"), "gs://my-bucket/p", 4, {"train": 1})
    _ = pipeline | PrepareRecords(make_reader("folder", "gs://my-bucket/in"), OPTIONS, layout)
    return pipeline


@pytest.mark.parametrize("text", _documented_options())
def test_documented_options_are_beams(text, caplog):
    options = PipelineOptions(text.split())
    known = options.get_all_options(drop_default=True)
    assert "unparseable" not in caplog.text
    names = {flag.partition("=")[0].removeprefix("--") for flag in text.split()}
    assert names <= set(known)


@pytest.mark.parametrize("text", [text for text in _documented_options() if "--runner=" in text])
def test_every_engine_can_translate_the_pipeline(text):
    if "DataflowRunner" in text:
        proto = _build(f"{text} --dry_run=True --no_auth").run().job.proto_pipeline
        (environment,) = proto.components.environments.values()
        shipped = b"".join(artifact.role_payload for artifact in environment.dependencies)
        assert b"workflow.tar.gz" in shipped  # what Beam calls the distribution that --setup_file makes
    else:
        pipeline = _build(text)
        proto = pipeline.runner.get_proto_pipeline(pipeline, pipeline.options)
        (environment,) = proto.components.environments.values()
        assert environment.urn == "beam:env:external:v1"
    leaves = [step for step in proto.components.transforms.values() if not step.subtransforms]
    primitives = {step.spec.urn.split(":")[2] for step in leaves}
    assert primitives == {"impulse", "pardo", "group_by_key", "flatten"}


def test_every_engine_is_documented():
    text = " ".join(_documented_options())
    for name in ("PortableRunner", "FlinkRunner", "SparkRunner", "DataflowRunner", "multi_processing"):
        assert name in text


def test_setup_file_ships_what_workers_import(tmp_path):
    """What Beam does with --setup_file: it makes a source distribution and installs it on the workers."""
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", tmp_path, "sdist", "--dist-dir", tmp_path]
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        shipped = {name.partition("/")[2] for name in tar.getnames()}
    for package in ("tfvs", "components"):
        assert {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")} <= shipped
