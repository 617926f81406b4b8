"""The job or one of its workers, killed with ``kill -9`` and started again, ends with the same bytes."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.preparation.images import write_folder
from tests.waiting import wait_until
from tfvs.errors import ResourceError

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 150
KILLS = 10

# One interpreter forks a child per attempt, so that ten attempts do not pay ten imports of TensorFlow. Nothing has
# touched libvips, Beam or a thread before the fork.
DRIVER = """
import os, sys
import apache_beam as beam
from components import transforms
from components.job import run_job
from tfvs.preparation.job import Job
from tfvs.preparation.options import PrepareOptions
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.readers import make_reader
import tfvs.data.example

data, output = sys.argv[1:3]
options = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), tile_size=32, compression="deflate")
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run_job(Job(make_reader("folder", data), options, output + "/r", output + "/p"), beam.Pipeline)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class _Runner:
    def __init__(self, data: Path, output: Path) -> None:
        command = [sys.executable, "-c", DRIVER, str(data), str(output)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )

    def run(self, kill_after_s: float | None = None) -> tuple[int, float]:
        """Runs the job once; returns its wait status and how long it took, seconds."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        started = time.monotonic()
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(child, signal.SIGKILL)
        status = int(self._process.stdout.readline())
        return status, time.monotonic() - started

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def _contents(output: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.slow
def test_ten_kills_and_the_same_bytes(tmp_path):
    data = write_folder(tmp_path / "in", IMAGES)
    undisturbed = _Runner(data, tmp_path / "whole")
    status, duration = undisturbed.run()
    assert status == 0
    undisturbed.close()
    runner = _Runner(data, tmp_path / "killed")
    # A finished pyramid is used again, so later attempts are shorter than the undisturbed one.
    delays = [random.Random(number).uniform(0.05, 0.6) * duration for number in range(KILLS)]
    killed = 0
    for delay in delays:
        killed += runner.run(delay)[0] != 0
        readable = [path for path in (tmp_path / "killed" / "p").rglob("*.tif") if not path.name.startswith(".")]
        whole = tmp_path / "whole" / "p"
        for path in readable:
            assert path.read_bytes() == (whole / path.relative_to(tmp_path / "killed" / "p")).read_bytes()
    assert killed >= KILLS // 2
    assert runner.run()[0] == 0
    runner.close()
    assert _contents(tmp_path / "killed") == _contents(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_worker_fails_the_job_and_the_next_run_gives_the_same_bytes(tmp_path):
    data = write_folder(tmp_path / "in", 60, side=500)
    workers = ("--", "--direct_running_mode=multi_processing", "--direct_num_workers=2")

    def start(output: Path, *beam_args: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "components.prepare", "--compression=deflate", f"--input={data}"]
        return subprocess.Popen(
            [*command, f"--output={output}", *beam_args], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

    broken = start(tmp_path / "killed", *workers)

    def running() -> list[psutil.Process]:
        """Both workers, once some images are done."""
        assert broken.poll() is None, "the job ended before a worker could be killed"
        children = [
            child
            for child in psutil.Process(broken.pid).children(recursive=True)
            if child.name().startswith("python") and "sdk_worker_main" in " ".join(child.cmdline())
        ]
        return children if len(children) == 2 and len(list((tmp_path / "killed").rglob("*.tif"))) >= 5 else []

    wait_until(running, timeout_s=300)[0].kill()
    _, said = broken.communicate(timeout=300)
    assert broken.returncode == ResourceError.exit_code
    assert "error: The pipeline failed" in said
    assert not list((tmp_path / "killed" / "records").rglob("manifest.json"))
    for output, arguments in ((tmp_path / "killed", workers), (tmp_path / "whole", ())):
        assert start(output, *arguments).wait(300) == 0
    assert _contents(tmp_path / "killed") == _contents(tmp_path / "whole")
