"""The same job on other runners: two worker processes here, and Beam's portable runner with a pool of workers."""

import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.components.images import write_folder
from tests.components.test_job import IN_CHILDREN, contents, make_job, run

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
JOB_SERVICE = """
import sys
import tarfile
from apache_beam.runners.portability.local_job_service import LocalJobServicer
servicer = LocalJobServicer()
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
def test_portable_runner_with_external_workers(tmp_path):
    write_folder(tmp_path / "in", 24)
    run(make_job(tmp_path / "in", tmp_path / "one"))
    pool, service = _start(POOL), _start(JOB_SERVICE)
    try:
        workers = pool.stdout.readline().strip()
        endpoint = service.stdout.readline().strip()
        started = time.monotonic()
        run(
            make_job(tmp_path / "in", tmp_path / "two", options=IN_CHILDREN),
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{endpoint.rpartition(':')[2]}",
            "--environment_type=EXTERNAL",
            f"--environment_config={workers}",
            "--sdk_worker_parallelism=2",
        )
        assert time.monotonic() - started < 300
    finally:
        _stop(pool)
        _stop(service)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def _documented_options() -> list[str]:
    rows = (ROOT / "docs" / "data.md").read_text().splitlines()
    return [row.split("`")[1] for row in rows if row.startswith("| ") and "`--" in row and "runn" in row]


@pytest.mark.parametrize("text", _documented_options())
def test_documented_options_are_beams(text, caplog):
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

    options = PipelineOptions(text.split())
    options.get_all_options()
    assert "unparseable" not in caplog.text
    runner = options.view_as(StandardOptions).runner
    assert runner is not None or options.view_as(DirectOptions).direct_num_workers == 2


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
