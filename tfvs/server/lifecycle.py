"""Serving as a process: signals, and an end that comes whatever the process is doing."""

from __future__ import annotations

import faulthandler
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, Protocol

from tfvs.server.status import LOGGER

EXIT_CUT_OFF = 8  # the grace was over before everything was finished
BACKSTOP_SECONDS = 2.0


class Server(Protocol):
    """What is served until a signal."""

    def start(self) -> None:
        """Loads, and answers."""

    def stop(self) -> bool:
        """Finishes the requests in flight; returns whether all of them were finished."""
        ...


def run_until_signal(server: Server, grace_seconds: float) -> NoReturn:
    """Serves until SIGTERM or SIGINT, then for as long as what is in flight takes, up to the grace; ends the process.

    The exit code is 0, or EXIT_CUT_OFF where requests were cut off.

    Everything runs in threads other than the main one, which therefore always sees a signal. After the grace the
    process is ended although threads of it hang; a second signal ends it at once with 128 and the signal's number.

    Args:
      server: Not started yet.
      grace_seconds: From the first signal to the end.
    """
    _allow_many_files()
    changed = threading.Event()
    received: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        if received:
            os._exit(128 + number)
        received.append(number)
        changed.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    starting = _Background(server.start, changed)
    while not received and starting.error is None:
        changed.wait()
        changed.clear()
    if starting.error is not None:
        raise starting.error
    LOGGER.info("Finishing what is in flight ...")
    end_after(grace_seconds)
    stopped = threading.Event()
    stopping = _Background(server.stop, stopped)
    stopped.wait()
    if stopping.error is not None:
        raise stopping.error
    leave(0 if stopping.result else EXIT_CUT_OFF)


def end_after(seconds: float) -> None:
    """Ends the process after that time with EXIT_CUT_OFF; if Python itself hangs, somewhat later with 1."""
    faulthandler.dump_traceback_later(seconds + BACKSTOP_SECONDS, exit=True)

    def end() -> None:
        time.sleep(seconds)
        LOGGER.error("The grace of %g s is over; what is still in flight is cut off.", seconds)
        leave(EXIT_CUT_OFF)

    threading.Thread(target=end, name="grace", daemon=True).start()


def leave(code: int) -> NoReturn:
    """Ends the process without waiting for its threads, or for what TensorFlow does at the end."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Background:
    """Something that runs in a thread of its own.

    Attributes:
      result: What it returned.
      error: What it raised.
    """

    def __init__(self, work: Callable[[], object], changed: threading.Event) -> None:
        self.result: object = None
        self.error: BaseException | None = None

        def run() -> None:
            try:
                self.result = work()
            except BaseException as error:
                self.error = error
            changed.set()

        threading.Thread(target=run, name="lifecycle", daemon=True).start()


def _allow_many_files() -> None:
    """Raises the limit on open files to what the system allows, as servers do; each connection and image is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        LOGGER.info("The limit on open files stays at %d", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
