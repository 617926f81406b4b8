"""The job on a real Flink, of PyPI's apache-flink-libraries: a JobManager and two TaskManagers, one of them killed."""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.engine import cancel_on_flink
from tests.components.test_job import IN_CHILDREN, contents, make_job, run
from tests.preparation.images import write_folder
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
JAR = os.environ.get("TFVS_FLINK_JOB_SERVER_JAR", "")
FOUND = importlib.util.find_spec("pyflink")
needs_flink = pytest.mark.skipif(
    FOUND is None or shutil.which("java") is None,
    reason="no Flink here: pip install --no-deps apache-flink-libraries==1.19.1, and Java 17",
)
needs_jar = pytest.mark.skipif(
    not Path(JAR).is_file(), reason="TFVS_FLINK_JOB_SERVER_JAR names no jar of Beam's Flink job server"
)
# What Flink 1.19's own scripts give Java 17.
OPENED = (
    "lang",
    "net",
    "io",
    "nio",
    "lang.reflect",
    "text",
    "time",
    "util",
    "util.concurrent",
    "util.concurrent.atomic",
)
CONFIGURATION = """
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
rest.address: localhost
rest.port: {rest}
jobmanager.memory.process.size: 1100m
taskmanager.memory.process.size: 1300m
taskmanager.numberOfTaskSlots: 1
taskmanager.host: localhost
heartbeat.timeout: 8000
heartbeat.interval: 2000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 5
restart-strategy.fixed-delay.delay: 3 s
io.tmp.dirs: {folder}
"""
# Both task managers find the pool at one address here, and name their workers alike: so it ends none of them itself.
POOL = """
import sys
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer as Pool
Pool.StopWorker = lambda self, request, context: beam_fn_api_pb2.StopWorkerResponse()
address, server = Pool.start(use_process=True, port=0)
print(address, flush=True)
sys.stdin.read()
"""


class Flink:
    """A cluster of one JobManager and some TaskManagers, each a process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
            for each in sockets:
                each.bind(("localhost", 0))
            rpc, rest = (each.getsockname()[1] for each in sockets)
        self.master = f"localhost:{rest}"
        self._folder = folder
        (folder / "flink-conf.yaml").write_text(CONFIGURATION.format(rpc=rpc, rest=rest, folder=folder))
        self.job_manager = self._start("entrypoint.StandaloneSessionClusterEntrypoint")
        self.task_managers = [self._start("taskexecutor.TaskManagerRunner") for _ in range(2)]

    def _start(self, name: str) -> subprocess.Popen:
        libraries = [path for path in (Path(FOUND.submodule_search_locations[0]) / "lib").glob("*.jar")]
        opened = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENED]
        memory = ["-Xmx700m"] if name.startswith("entrypoint") else ["-Xmx384m", "-XX:MaxDirectMemorySize=256m"]
        resources = (
            []
            if name.startswith("entrypoint")
            else [
                *("-D", "taskmanager.cpu.cores=1", "-D", "taskmanager.memory.task.heap.size=256m"),
                *("-D", "taskmanager.memory.managed.size=128m", "-D", "taskmanager.memory.network.min=64m"),
                *("-D", "taskmanager.memory.network.max=64m", "-D", "taskmanager.memory.task.off-heap.size=0b"),
            ]
        )
        command = ["java", *opened, *memory, "-cp", os.pathsep.join(map(str, libraries))]
        command += [f"org.apache.flink.runtime.{name}", "--configDir", str(self._folder), *resources]
        log = (self._folder / f"{name}-{time.monotonic_ns()}.log").open("wb")
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)

    def wait_for(self, task_managers: int, seconds: float = 240) -> None:
        """Waits until so many task managers have registered."""

        def registered() -> bool:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.master}/overview") as answer:
                return json.load(answer)["taskmanagers"] == task_managers
            return False

        wait_until(registered, seconds, told=self._errors)

    def _errors(self) -> list[str]:
        lines = [line for path in self._folder.glob("*.log") for line in path.read_text().splitlines()]
        return [line for line in lines if not line.startswith("\tat ")][:40]

    def replace_one(self) -> None:
        """Kills a task manager and starts another."""
        self.task_managers[0].kill()
        self.task_managers.append(self._start("taskexecutor.TaskManagerRunner"))

    def stop(self) -> None:
        """Ends all processes."""
        for process in (*self.task_managers, self.job_manager):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    cluster = Flink(tmp_path_factory.mktemp("flink") / "cluster")
    try:
        cluster.wait_for(2)
        yield cluster
    finally:
        cluster.stop()


@needs_flink
@pytest.mark.slow
def test_flinks_interface_is_asked_for_jobs(flink: Flink) -> None:
    cancel_on_flink(flink.master, "there is no such job")


@needs_flink
@needs_jar
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_task_managers_and_one_killed_give_the_same_bytes(flink: Flink, tmp_path: Path) -> None:
    write_folder(tmp_path / "in", 200)
    run(make_job(tmp_path / "in", tmp_path / "one"))
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        [sys.executable, "-c", POOL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**environ, "PYTHONPATH": str(ROOT)},
    ) as pool:
        address = pool.stdout.readline().strip()
        options = ("--runner=FlinkRunner", f"--flink_master={flink.master}", f"--flink_job_server_jar={JAR}")
        options += ("--parallelism=2", "--environment_type=EXTERNAL", f"--environment_config={address}")
        run(make_job(tmp_path / "in", tmp_path / "two", options=IN_CHILDREN), *options)
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

        def kill(done: int, _: int) -> None:
            if done >= 20 and len(flink.task_managers) == 2:
                flink.replace_one()

        run(make_job(tmp_path / "in", tmp_path / "three", options=IN_CHILDREN, progress=kill), *options)
        assert len(flink.task_managers) == 3, "the job ended before a task manager could be killed"
        assert contents(tmp_path / "one") == contents(tmp_path / "three")
        pool.stdin.close()
