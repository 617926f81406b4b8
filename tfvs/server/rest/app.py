"""The server of TensorFlow Serving's REST API, on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web

from tfvs.errors import ResourceError
from tfvs.server.rest.handlers import API, ApiHandler, MetricsHandler, NowhereHandler, Surroundings


class RestServer:
    """Serves REST in a thread of its own; the work is done by the executor.

    Args:
      surroundings: What its requests share.
      host: Address to listen on.
      port: Port to listen on.
      metrics: Path, page and content type of metrics; None: there are none.

    Raises:
      ResourceError: The port is taken.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        host: str,
        port: int,
        metrics: tuple[str, Callable[[], bytes], str] | None = None,
    ) -> None:
        try:
            self._sockets = tornado.netutil.bind_sockets(port, host)
        except OSError as error:
            raise ResourceError(
                f"Cannot listen on {host}:{port}", received=error.strerror, mend="Choose another --rest_api_port"
            ) from error
        self._gate = surroundings.gate
        routes: list[tuple[str, type[tornado.web.RequestHandler], dict[str, Any]]] = []
        if metrics is not None:
            path, page, content_type = metrics
            routes.append((re.escape(path), MetricsHandler, {"page": page, "content_type": content_type}))
        routes.append((API, ApiHandler, {"surroundings": surroundings}))
        self._application = tornado.web.Application(
            routes,
            default_handler_class=NowhereHandler,
            log_function=lambda handler: None,
            cors=surroundings.cors,
        )
        self._max_body_bytes = surroundings.max_body_bytes
        self._loop = asyncio.new_event_loop()
        self._server: tornado.httpserver.HTTPServer | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="rest", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()
        self._ready.wait()

    def stop(self, grace_seconds: float) -> None:
        """Takes no more requests, finishes those in flight."""
        asyncio.run_coroutine_threadsafe(self._shut_down(grace_seconds), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = tornado.httpserver.HTTPServer(self._application, max_buffer_size=self._max_body_bytes)
        self._server.add_sockets(self._sockets)
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()

    async def _shut_down(self, grace_seconds: float) -> None:
        server = self._server
        if server is None:
            return
        server.stop()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._gate.idle(), grace_seconds)
            await asyncio.wait_for(server.close_all_connections(), 1.0)
