"""Runs a pipeline on whatever engine its options name: stops it there when it is stopped here, and tells its errors."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
import threading
import time
import urllib.request
import uuid
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
)
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineState

from tfvs.errors import ResourceError, TfvsError

_CANCEL_S = 30.0
_STOPPING = (signal.SIGINT, signal.SIGTERM)
_REQUEST_S = 10.0
_LINES_OF_TRACES = re.compile(r'at |\.\.\. \d+ more|[\])}]+$|File "|Traceback |Suppressed: |\^+$|~*\^+~*$')
_PYTHON_ERROR = re.compile(r"(?!java|org\.|Caused by)[\w.]*(Error|Exception|Interrupt|Exit|Warning)\b")


def run_to_end(pipeline: beam.Pipeline) -> None:
    """Runs a pipeline; Ctrl-C and SIGTERM cancel its job on the engine before they end this process.

    Raises:
      KeyboardInterrupt: It was stopped.
      ResourceError: It failed: a worker died, the disk is full, or the engine cannot be reached.
    """
    options = pipeline.options.view_as(GoogleCloudOptions)
    options.job_name = options.job_name or f"tfvs-prepare-{uuid.uuid4().hex[:12]}"
    engine = _Engine(pipeline.options)  # runners change the options
    result = None
    with _Signals() as signals:
        try:
            # A job that is stopped while it is being submitted may run on the engine without anybody here who knows it.
            signals.wait = isinstance(pipeline.runner, PortableRunner) or engine.is_dataflow
            result = pipeline.run()
            signals.listen()
            result.wait_until_finish()
        except KeyboardInterrupt:
            engine.cancel(result)
            raise
        except TfvsError:
            raise
        except Exception as error:  # runners pass on what happened in a worker as text in an error of their own
            if signals.received:
                engine.cancel(result)
                raise KeyboardInterrupt from error
            raise engine.failed(error, result) from error


class _Engine:
    """What the options say of the engine: its name, where it is reached, where its log is.

    Attributes:
      is_dataflow: Whether it is Dataflow.
    """

    def __init__(self, options: Any) -> None:
        self._runner = options.view_as(StandardOptions).runner or "DirectRunner"
        self._job_name = options.view_as(GoogleCloudOptions).job_name
        self._flink = ""
        short = self._runner.lower().removesuffix("runner")
        endpoint = options.view_as(PortableOptions).job_endpoint
        address, log = "", "standard error of this process"
        if short in ("flink", "spark", "portable"):
            if short == "flink":
                self._flink = address = options.view_as(FlinkRunnerOptions).flink_master
            elif short == "spark":
                address = options.view_as(SparkRunnerOptions).spark_master_url
            address = endpoint or address
            log = f"the log of the engine at {address}, and those of the pools of workers"
        elif short == "dataflow":
            project = options.view_as(GoogleCloudOptions).project
            log = f"the job's page in the Google Cloud console, project {project}"
        self._address, self._log = address, log
        self.is_dataflow = short == "dataflow"

    def failed(self, error: Exception, result: Any) -> ResourceError:
        """The error to raise for one of a runner."""
        job = self._job_name if result is None else f"{self._job_name} {_id_of(result)}".rstrip()
        where = f" at {self._address}" if self._address else ""
        told = cause_in(str(error) or repr(error))
        if result is None and self._address and _is_unreachable(error):
            return ResourceError(
                f"The engine of {self._runner} cannot be reached{where}",
                received=told,
                mend="Check the address and that it runs; --job_server_timeout is how long to wait, in seconds",
            )
        return ResourceError(
            f"The pipeline failed, so there are no records: job {job} of {self._runner}{where}",
            received=told,
            mend=f"Mend it, or look into {self._log} if a worker died, and start again: what is done is kept",
        )

    def cancel(self, result: Any) -> None:
        """Cancels the job on the engine and waits until it has ended, for a while."""
        if result is not None:
            with contextlib.suppress(Exception):
                result.cancel()
            end = time.monotonic() + _CANCEL_S
            with contextlib.suppress(Exception):
                while not PipelineState.is_terminal(result.state) and time.monotonic() < end:
                    time.sleep(0.5)
        if self._flink and not self._flink.startswith("["):
            # Beam's own job server hears Ctrl-C in a terminal as well, and may have gone before it passed this on.
            with contextlib.suppress(OSError, ValueError, KeyError):
                cancel_on_flink(self._flink, self._job_name)


def cancel_on_flink(master: str, job_name: str) -> None:
    """Cancels the jobs of a name with Flink's REST API.

    Args:
      master: Address of the JobManager's REST API, with or without ``http://``.
      job_name: The name.

    Raises:
      OSError: It does not answer.
    """
    base = master if "://" in master else f"http://{master}"
    with urllib.request.urlopen(f"{base}/jobs/overview", timeout=_REQUEST_S) as answer:
        jobs = json.load(answer)["jobs"]
    for job in jobs:
        if job["name"] == job_name and job["state"] in ("INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING"):
            request = urllib.request.Request(f"{base}/jobs/{job['jid']}?mode=cancel", method="PATCH")
            urllib.request.urlopen(request, timeout=_REQUEST_S).close()


def cause_in(text: str) -> str:
    """The line of a runner's text that says what happened: Python's error, or else the innermost of Java's.

    >>> cause_in("java.lang.RuntimeException: Traceback\\n  File \\"a.py\\"\\nOSError: full\\n\\tat x\\n]")
    'OSError: full'
    """
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not _LINES_OF_TRACES.match(line)]
    for wanted in (
        [line for line in telling if "[while running" in line],
        [line for line in telling if _PYTHON_ERROR.match(line)],
        [line for line in telling if line.startswith("Caused by:")],
        telling[:1] if len(telling) < len(lines) else telling[-1:],
    ):
        if wanted:
            return wanted[-1][:400]
    return text.strip()[:400]


def _id_of(result: Any) -> str:
    found = getattr(result, "_job_id", None) or getattr(result, "job_id", "")  # Beam has no public name for all runners
    return str(found() if callable(found) else found)


def _is_unreachable(error: Exception) -> bool:
    """Whether nothing answered: gRPC's errors of that kind have no class of their own."""
    return type(error).__name__ == "FutureTimeoutError" or "UNAVAILABLE" in str(error)


class _Signals:
    """Makes SIGTERM and Ctrl-C a KeyboardInterrupt, where this is the main thread, which alone may say so.

    Attributes:
      wait: Whether the first is only kept in mind, until :meth:`listen`.
      received: Whether there was one.
    """

    def __init__(self) -> None:
        self.wait = self.received = False
        self._before: dict[signal.Signals, Any] = {}
        self._is_main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> _Signals:
        if self._is_main:
            self._before = {number: signal.signal(number, self._handle) for number in _STOPPING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """From here on a signal interrupts at once, as does one that was kept in mind.

        Beam's runners put their own handlers in place, which end their job server before it can cancel the job.
        """
        self.wait = False
        for number in self._before:
            signal.signal(number, self._handle)
        if self.received:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any) -> None:
        if self.wait and not self.received:
            print(
                "Stopping when the job is submitted, so that it can be cancelled; once more stops now", file=sys.stderr
            )
            self.received = True
            return
        self.received = True
        raise KeyboardInterrupt
