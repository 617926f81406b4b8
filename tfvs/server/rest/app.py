"""The server of TensorFlow Serving's REST API, on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Executor

import tornado.httpserver
import tornado.netutil
import tornado.web

from tfvs.errors import ResourceError
from tfvs.server.predictor import Predictor
from tfvs.server.rest.handlers import API, ApiHandler, Gate, NowhereHandler


class RestServer:
    """Serves REST in a thread of its own; the work is done by the executor.

    Args:
      predictor: Shared with gRPC.
      host: Address to listen on.
      port: Port to listen on.
      executor: Runs the requests.
      max_body_bytes: Larger bodies are refused before they are read.
      max_requests: Requests at a time; above it they are answered 429.

    Raises:
      ResourceError: The port is taken.
    """

    def __init__(
        self, predictor: Predictor, host: str, port: int, executor: Executor, *, max_body_bytes: int, max_requests: int
    ) -> None:
        try:
            self._sockets = tornado.netutil.bind_sockets(port, host)
        except OSError as error:
            raise ResourceError(
                f"Cannot listen on {host}:{port}", received=error.strerror, mend="Choose another --rest_api_port"
            ) from error
        self._gate = Gate(max_requests)
        shared = {"predictor": predictor, "executor": executor, "gate": self._gate}
        self._application = tornado.web.Application(
            [(API, ApiHandler, shared)],
            default_handler_class=NowhereHandler,
            log_function=lambda handler: None,
        )
        self._max_body_bytes = max_body_bytes
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
