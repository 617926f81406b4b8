"""What is said of an engine's failure, and that a stopped launcher stops its job there."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.local_job_service import BeamJob, LocalJobServicer

from components.engine import cancel_on_flink, cause_in
from tests.components.test_job import make_job, run
from tests.preparation.images import write_folder
from tfvs.errors import STOPPED, ResourceError

ROOT = Path(__file__).resolve().parents[2]

# As Flink hands over what happened in a worker of Python.
FLINK = """Pipeline tfvs_42 failed in state FAILED: java.util.concurrent.ExecutionException: Error received from SDK
harness for instruction 4: Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1501, in process
    raise new_exn
tfvs.errors.ResourceError: Pyramids cannot be written. Received: [Errno 28] No space left. [while running 'Convert']

\tat java.base/java.util.concurrent.CompletableFuture.reportGet(CompletableFuture.java:395)
\t... 6 more
]"""
JAVA = """Pipeline j failed in state FAILED: org.apache.flink.runtime.JobException: Recovery is suppressed
\tat org.apache.flink.Scheduler.x(Scheduler.java:1)
Caused by: java.lang.Exception: TaskManager at 10.0.0.7:6122 is no longer reachable
\t... 4 more
]"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (FLINK, "tfvs.errors.ResourceError: Pyramids cannot be written. Received: [Errno 28] No space left."),
        (JAVA, "Caused by: java.lang.Exception: TaskManager at 10.0.0.7:6122 is no longer reachable"),
        ("Pipeline j failed in state FAILED: unknown error", "Pipeline j failed in state FAILED: unknown error"),
        ("ValueError: one\nKeyError: 'two'", "KeyError: 'two'"),
        ("]", "]"),
    ],
)
def test_the_line_that_says_what_happened(text: str, line: str) -> None:
    assert cause_in(text).startswith(line)


def _start(data: Path, output: Path, *beam_args: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "components.prepare", f"--input={data}", f"--output={output}", "--"]
    return subprocess.Popen([*command, *beam_args], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_an_engine_that_does_not_answer_is_named(tmp_path) -> None:
    write_folder(tmp_path / "in", 1)
    arguments = ("--runner=PortableRunner", "--job_endpoint=localhost:1", "--job_server_timeout=1")
    with pytest.raises(ResourceError, match="The engine of PortableRunner cannot be reached at localhost:1"):
        run(make_job(tmp_path / "in", tmp_path / "out"), *arguments, "--environment_type=LOOPBACK")
    assert not list((tmp_path / "out" / "r").iterdir())


class _NeverEnding(BeamJob):
    """A job that goes on until it is cancelled, as one on a cluster does; Beam's own service runs it otherwise."""

    began = threading.Event()

    def _run_job(self) -> None:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        self.began.set()


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_stopped_launcher_cancels_its_job(tmp_path, number: signal.Signals) -> None:
    write_folder(tmp_path / "in", 1)
    _NeverEnding.began.clear()
    servicer = LocalJobServicer(beam_job_type=_NeverEnding)
    port = servicer.start_grpc_server(0)
    arguments = ("--runner=PortableRunner", f"--job_endpoint=localhost:{port}", "--environment_type=EXTERNAL")
    with _start(tmp_path / "in", tmp_path / "out", *arguments, "--environment_config=localhost:1") as launcher:
        try:
            assert _NeverEnding.began.wait(60)
            launcher.send_signal(number)
            _, said = launcher.communicate(timeout=60)
        finally:
            launcher.kill()
            servicer.stop()
    (job,) = servicer._jobs.values()
    assert job.state == beam_job_api_pb2.JobState.CANCELLED, said
    assert launcher.returncode == STOPPED
    assert "Stopped" in said
    assert os.listdir(tmp_path / "out" / "records") == []


class _Rest(BaseHTTPRequestHandler):
    """What Flink's REST API answers, as its documentation has it."""

    def do_GET(self) -> None:
        jobs = [
            {"jid": "a1", "name": "mine", "state": "RUNNING"},
            {"jid": "a2", "name": "mine", "state": "FINISHED"},
            {"jid": "b1", "name": "another", "state": "RUNNING"},
        ]
        self._answer(200, {"jobs": jobs} if self.path == "/jobs/overview" else {})

    def do_PATCH(self) -> None:
        self.server.cancelled.append(self.path)
        self._answer(202, {})

    def _answer(self, code: int, value: dict) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_) -> None:
        pass


def test_flinks_own_interface_is_asked_for_this_job_alone() -> None:
    server = HTTPServer(("localhost", 0), _Rest)
    server.cancelled = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        cancel_on_flink(f"localhost:{server.server_port}", "mine")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert server.cancelled == ["/jobs/a1?mode=cancel"]
