"""The server of TensorFlow Serving's REST API, on a port of its own."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import tornado.netutil
import tornado.web

from tfvs.errors import ResourceError
from tfvs.server.addresses import for_socket, for_url
from tfvs.server.rest.connections import Connections
from tfvs.server.rest.handlers import API, ApiHandler, MetricsHandler, NowhereHandler, Surroundings
from tfvs.server.rest.probes import PROBES, ProbeHandler


class RestServer:
    """Serves REST in a thread of its own; the work is done by the executor.

    Args:
      surroundings: Objects that its requests share.
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
            self._sockets = tornado.netutil.bind_sockets(port, for_socket(host))
        except OSError as error:
            raise ResourceError(
                f"Cannot listen on {for_url(host)}:{port}",
                received=error.strerror,
                mend="Choose another --rest_api_port or --host",
            ) from error
        self._gate = surroundings.gate
        routes: list[tuple[str, type[tornado.web.RequestHandler], dict[str, Any]]] = []
        if metrics is not None:
            path, page, content_type = metrics
            routes.append((re.escape(path), MetricsHandler, {"page": page, "content_type": content_type}))
        routes.append((API, ApiHandler, {"surroundings": surroundings}))
        routes.append((PROBES, ProbeHandler, {"is_ready": surroundings.is_ready}))
        self._application = tornado.web.Application(
            routes,
            default_handler_class=NowhereHandler,
            log_function=lambda handler: None,
            cors=surroundings.cors,
        )
        self._limits = {
            "max_buffer_size": surroundings.max_body_bytes,
            "max_connections": surroundings.max_connections,
            "body_timeout": surroundings.timeout_s,
        }
        self._loop = asyncio.new_event_loop()
        self._server: Connections | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="rest", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()
        self._ready.wait()

    def close_after_each_answer(self) -> None:
        """From now on every answer says ``Connection: close``."""
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close_after_each_answer)

    def stop(self, grace_seconds: float) -> bool:
        """Takes no more connections, finishes what is in flight; returns whether all of it was in time."""
        server = self._server
        if server is None:
            for socket in self._sockets:
                socket.close()
            return True
        drained = server.drain(lambda: self._gate.in_flight, grace_seconds)
        finished = asyncio.run_coroutine_threadsafe(drained, self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        return finished

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = Connections(self._application, **self._limits)
        self._server.add_sockets(self._sockets)
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
