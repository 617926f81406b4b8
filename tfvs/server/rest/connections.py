"""HTTP connections: bounded in number and in time, and closed so that no answer is lost."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from typing import Any

import tornado.httpserver
import tornado.iostream

from tfvs.server.log_limits import RateLimit

IDLE_SECONDS = 75.0  # a proxy's own idle time, 60 s as a rule, should be shorter: then it is the proxy that closes
LAST_REQUEST_SECONDS = 1.0  # clients that use a connection all the time are told within it that the connection closes


class Connections(tornado.httpserver.HTTPServer):
    """An HTTP server with a limit on connections.

    At the limit a new connection is closed at once: it costs no descriptor, so that accepting, which would otherwise
    fail again and again, and gRPC go on. Headers must come within the idle time, bodies within ``body_timeout``.
    """

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Takes what the HTTP server takes, and ``max_connections``."""
        self._limit = min(kwargs.pop("max_connections"), resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        self._refusals = RateLimit()
        super().initialize(*args, **{"idle_connection_timeout": IDLE_SECONDS, **kwargs})

    def handle_stream(self, stream: tornado.iostream.IOStream, address: tuple[Any, ...]) -> None:
        """Serves a new connection, or closes it."""
        if len(self._connections) >= self._limit:
            self._refusals.warning("There are %d REST connections; another one is closed", self._limit)
            stream.close()
            return
        super().handle_stream(stream, address)

    def close_after_each_answer(self) -> None:
        """From now on every answer says ``Connection: close``."""
        self.conn_params.no_keep_alive = True

    async def drain(self, busy: Any, seconds: float) -> bool:
        """Listens no more, answers what comes on the open connections, and closes them.

        Args:
          busy: Says how many requests are at work.
          seconds: At most.

        Returns:
          Whether every request was answered.
        """
        self.close_after_each_answer()
        self.stop()
        loop = asyncio.get_running_loop()
        end, quiet = loop.time() + seconds, loop.time() + min(LAST_REQUEST_SECONDS, seconds / 2)
        while loop.time() < end and (busy() or (self._connections and loop.time() < quiet)):
            await asyncio.sleep(0.01)
        finished = not busy()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.close_all_connections(), 1.0)
        return finished
