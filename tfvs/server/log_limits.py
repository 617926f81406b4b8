"""Limits on the number of log lines that clients can cause."""

from __future__ import annotations

import threading
import time

from tfvs.server.status import LOGGER

MAX_CAUSES = 1000


class RateLimit:
    """Logs so many lines per minute, then says how many it left out.

    Args:
      per_minute: Lines per minute.
    """

    def __init__(self, per_minute: int = 10) -> None:
        self._per_minute, self._lock = per_minute, threading.Lock()
        self._begun, self._logged, self._left_out = 0.0, 0, 0

    def warning(self, message: str, *arguments: object) -> None:
        """Logs a warning, unless there have been too many."""
        with self._lock:
            now = time.monotonic()
            left_out = 0
            if now - self._begun >= 60.0:
                left_out, self._left_out = self._left_out, 0
                self._begun, self._logged = now, 0
            self._logged += 1
            if self._logged > self._per_minute:
                self._left_out += 1
                return
        if left_out:
            LOGGER.warning("%d lines like the next were left out.", left_out)
        LOGGER.warning(message, *arguments)


class OncePerCause:
    """Logs each different line once."""

    def __init__(self) -> None:
        self._known: set[tuple[object, ...]] = set()
        self._lock = threading.Lock()

    def error(self, message: str, *arguments: object) -> None:
        """Logs an error, unless it was logged before."""
        if self._is_new(message, *arguments):
            LOGGER.error(message, *arguments)

    def warning(self, message: str, *arguments: object) -> None:
        """Logs a warning, unless it was logged before."""
        if self._is_new(message, *arguments):
            LOGGER.warning(message, *arguments)

    def _is_new(self, *line: object) -> bool:
        with self._lock:
            if line in self._known or len(self._known) >= MAX_CAUSES:
                return False
            self._known.add(line)
            return True
