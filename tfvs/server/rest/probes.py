"""Addresses for probes: whether the process lives, and whether it should be sent requests.

They are answered by the thread that reads the connections, at once, however much the server has to do.
"""

from __future__ import annotations

from collections.abc import Callable

import tornado.web

PROBES = r"/(livez|readyz)"


class ProbeHandler(tornado.web.RequestHandler):
    """Answers ``/livez`` with 200, and ``/readyz`` with 200 or 503."""

    def initialize(self, is_ready: Callable[[], bool]) -> None:
        """Keeps the function that tells whether the server is ready."""
        self._is_ready = is_ready

    def get(self, which: str) -> None:
        """Answers a probe."""
        ready = which == "livez" or self._is_ready()
        self.set_status(200 if ready else 503)
        self.set_header("Content-Type", "text/plain")
        self.finish("ok" if ready else "not ready")

    head = get
