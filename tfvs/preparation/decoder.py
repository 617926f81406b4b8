"""Decoding in a process of its own: a crash inside a native decoder costs one image, not the worker.

That process decodes what comes through its pipe until the pipe closes, which happens however its parent ends. It
imports ``tfvs.…`` without ``tfvs`` itself, which would import TensorFlow: seconds, and half a gigabyte.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvs.preparation.decode import Decoded, Refused, Task

# A process that died for another reason, such as Ctrl-C, gets a second try; a bad image crashes twice.
ATTEMPTS = 2
# Begins a program that imports tfvs.preparation and no TensorFlow.
WITHOUT_TENSORFLOW = """
import importlib.util, sys, types
found = importlib.util.find_spec("tfvs")
package = sys.modules["tfvs"] = types.ModuleType("tfvs")
package.__path__ = list(found.submodule_search_locations)
"""
CHILD = WITHOUT_TENSORFLOW + "from tfvs.preparation.decoder import main; main()"


class Decoder:
    """One child process, started when the first image comes and again when it has died. Threads take turns."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()

    def decode(self, task: Task) -> Decoded | Refused:
        """Decodes as :func:`tfvs.preparation.decode.decode` does; after crashes the image is refused.

        Raises:
          ResourceError: The process cannot run at all, whatever the image.
        """
        with self._lock:
            for _ in range(ATTEMPTS):
                try:
                    succeeded, result = self._ask(task)
                    break
                except (EOFError, ConnectionError):
                    status = self._end()
            else:
                return _refused(status)
        if not succeeded:
            raise result
        return result

    def close(self) -> None:
        """Ends the child process."""
        with self._lock:
            self._end()

    def _ask(self, task: Task) -> tuple[bool, Any]:
        pipe = self._pipe or self._start()
        pipe.send(task)
        return pipe.recv()

    def _start(self) -> Connection:
        """Starts a fresh interpreter: forked children of a process that has read pixels with libvips hang."""
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        theirs.close()
        return self._pipe

    def _end(self) -> int:
        """Closes the pipe and waits; returns the exit status."""
        if self._process is None or self._pipe is None:
            return 0
        self._pipe.close()
        status = self._process.wait()
        self._process = self._pipe = None
        return status


def _refused(status: int) -> Refused:
    from tfvs.errors import ResourceError
    from tfvs.preparation.decode import Refused

    if status >= 0:  # it ended by itself: an import failed, or standard error says why
        raise ResourceError(
            "The decoder's process cannot run",
            received=f"exit status {status} of {sys.executable}",
            mend="See its message above, or decode in the worker itself: decoder='direct'",
        )
    killed = status == -signal.SIGKILL
    why = "killed, as a machine does that runs out of memory" if killed else f"signal {-status}, a crash in native code"
    return Refused("crash", f"The decoder's process died {ATTEMPTS} times of {ATTEMPTS}: {why}")


def serve(pipe: Connection) -> None:
    """Decodes until the pipe closes."""
    from tfvs.preparation.decode import decode, limit_libvips

    limit_libvips()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, ConnectionError):  # closed, or gone with its process
            return
        answer: tuple[bool, Any]
        try:
            answer = True, decode(task)
        except Exception as error:  # the worker raises it, as it would have without this process
            answer = False, error
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return


def main() -> None:
    """Runs the child process on the pipe whose file descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees it too, and closes the pipe
    serve(Connection(int(sys.argv[1])))
