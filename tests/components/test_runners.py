"""The same job on other runners: two worker processes here, and Beam's portable runner with two pools of workers."""

import contextlib
import json
import os
import subprocess
import sys
import tarfile
from concurrent import futures
from pathlib import Path

import apache_beam as beam
import psutil
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from components.transforms import Layout, PrepareRecords
from tests.components.test_job import IN_CHILDREN, OPTIONS, contents, make_job, run
from tests.preparation.images import write_folder, write_png
from tests.waiting import wait_until
from tfvs.errors import ResourceError
from tfvs.preparation.job_folder import JobFolder
from tfvs.preparation.readers import make_reader

ROOT = Path(__file__).resolve().parents[2]

POOL = """
import sys
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
address, server = BeamFnExternalWorkerPoolServicer.start(use_process=True, port=0)
print(address, flush=True)
sys.stdin.read()
server.stop(0)
"""
# Beam's local job service has its workers one after the other, whatever is asked for, and no option for more; each of a
# cluster's machines has the pool of its own at the one address that is given.
JOB_SERVICE = """
import itertools
import sys
from apache_beam.portability.api import endpoints_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers

class TwoWorkers(fn_runner.FnApiRunner):
    def __init__(self, **options):
        super().__init__(**options)
        self._num_workers = 2

pools, start_worker = itertools.cycle(sys.argv[1:]), worker_handlers.ExternalWorkerHandler.start_worker

def start_in_next_pool(handler):
    handler._external_payload.endpoint.url = next(pools)
    start_worker(handler)

worker_handlers.ExternalWorkerHandler.start_worker = start_in_next_pool
fn_runner.FnApiRunner = TwoWorkers
servicer = local_job_service.LocalJobServicer()
print(servicer.start_grpc_server(0), flush=True)
sys.stdin.read()
"""


def _start(code: str, *arguments: str) -> subprocess.Popen:
    # Beam's pool starts its workers as `python` from PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=environ,
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


def _workers(pool: subprocess.Popen) -> list[psutil.Process]:
    return [child for child in psutil.Process(pool.pid).children() if "SdkHarness" in " ".join(child.cmdline())]


def _worker_that_reads(fifo: Path, pools: list[subprocess.Popen]) -> psutil.Process:
    """The worker that waits for what a FIFO will give, waited for."""

    def opened() -> bool:
        with contextlib.suppress(OSError):  # nobody reads it yet
            os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)  # it stays open, and the reader waits
            return True
        return False

    def reader() -> psutil.Process | None:
        for worker in [worker for pool in pools for worker in _workers(pool)]:
            if str(fifo) in {os.path.realpath(link) for link in Path(f"/proc/{worker.pid}/fd").iterdir()}:
                return worker
        return None

    wait_until(opened)
    return wait_until(reader)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="which worker reads a file is told by /proc")
@pytest.mark.timeout(240)
def test_two_pools_and_a_killed_worker(tmp_path):
    """The worker is killed in the middle of an image: the job fails and says so, and the next one ends with all."""
    for number in range(12):
        write_png(tmp_path / "in" / f"{number}.png", seed=number)
    (tmp_path / "in" / "manifest.jsonl").write_text(
        "".join(json.dumps({"path": f"{number}.png", "label": number % 2}) + "\n" for number in range(12))
    )
    run(make_job(tmp_path / "in", tmp_path / "one", "manifest"))
    image, kept = tmp_path / "in" / "7.png", tmp_path / "kept.png"
    image.rename(kept)
    os.mkfifo(image)  # whoever reads this image waits
    pools = [_start(POOL), _start(POOL)]
    addresses = [pool.stdout.readline().strip() for pool in pools]
    service = _start(JOB_SERVICE, *addresses)
    try:
        endpoint = f"localhost:{service.stdout.readline().strip().rpartition(':')[2]}"
        options = ("--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=EXTERNAL")
        options += (f"--environment_config={addresses[0]}",)
        with futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(run, make_job(tmp_path / "in", tmp_path / "two", "manifest"), *options)
            victim = _worker_that_reads(image, pools)
            assert [len(_workers(each)) for each in pools] == [1, 1]
            victim.kill()
            with pytest.raises(ResourceError, match=f"The pipeline failed.* of PortableRunner at {endpoint}"):
                job.result(120)
        assert not list((tmp_path / "two" / "r").iterdir())
        image.unlink()
        kept.rename(image)
        run(make_job(tmp_path / "in", tmp_path / "two", "manifest"), *options)
    finally:
        for process in (*pools, service):
            _stop(process)
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
