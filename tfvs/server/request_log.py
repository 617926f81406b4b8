"""A log of requests: one line of JSON each, of all of them or of a sample."""

from __future__ import annotations

import dataclasses
import datetime
import json
import random
import sys
import threading
from typing import TextIO

from tfvs.errors import ResourceError
from tfvs.server.observation import Observation

STANDARD_ERROR = "-"


class RequestLog:
    """Adds lines to a file; bodies, addresses and metadata of requests are never logged.

    Args:
      path: The file; ``-``: standard error.
      sampling_rate: Fraction of the requests that are logged, 0 to 1.

    Raises:
      ResourceError: The file cannot be written.
    """

    def __init__(self, path: str, sampling_rate: float) -> None:
        self._rate, self._random, self._lock = sampling_rate, random.Random(), threading.Lock()
        self._owned = path != STANDARD_ERROR
        try:
            self._file: TextIO = open(path, "a", encoding="utf-8", buffering=1) if self._owned else sys.stderr  # noqa: SIM115
        except OSError as error:
            raise ResourceError("Cannot write the request log", received=f"{path}: {error.strerror}") from error

    def observe(self, observation: Observation) -> None:
        """Writes one line, unless the request is not in the sample."""
        if self._random.random() >= self._rate:
            return
        time = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        fields = dataclasses.asdict(observation) | {"seconds": round(observation.seconds, 6)}
        line = json.dumps({"time": time, **fields}) + "\n"
        with self._lock:
            self._file.write(line)

    def close(self) -> None:
        """Closes the file."""
        if self._owned:
            self._file.close()
