"""TensorFlow Serving's REST API: predict, status and metadata, on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Executor
from typing import Any

import grpc
import tornado.httpserver
import tornado.netutil
import tornado.web
from tensorflow_serving.apis import model_pb2

from tfvs.errors import ResourceError
from tfvs.server.grpc.model_service import model_status
from tfvs.server.predictor import Predictor
from tfvs.server.rest.json_format import metadata_json, predict, to_json
from tfvs.server.status import RequestError, as_request_error, invalid

ROUTE = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+))?"
_HTTP_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


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
        self._gate = _Gate(max_requests)
        shared = {"predictor": predictor, "executor": executor, "gate": self._gate}
        self._application = tornado.web.Application(
            [
                (ROUTE + r"(?::(?P<method>[a-z]+))?", _Model, shared),
                (ROUTE + r"/metadata", _Metadata, shared),
            ],
            default_handler_class=_Nowhere,
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


class _Gate:
    """Counts requests in flight; used on the loop's thread alone."""

    def __init__(self, limit: int) -> None:
        self.limit, self.in_flight = limit, 0

    async def idle(self) -> None:
        while self.in_flight:
            await asyncio.sleep(0.01)


class _Handler(tornado.web.RequestHandler):
    def initialize(self, predictor: Predictor, executor: Executor, gate: _Gate) -> None:
        self._predictor, self._executor, self._gate = predictor, executor, gate

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish({"error": self._reason})

    def fail(self, error: RequestError) -> None:
        self.set_status(_HTTP_CODES.get(error.code, 500))
        self.finish({"error": error.message})

    async def answer(self, work: Any) -> None:
        """Runs the work in the executor, and writes what it returns."""
        if self._gate.in_flight >= self._gate.limit:
            self.fail(RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many requests at a time."))
            return
        self._gate.in_flight += 1
        try:
            text = await asyncio.get_running_loop().run_in_executor(self._executor, work)
            self.set_header("Content-Type", "application/json")
            self.finish(text)
        except Exception as error:
            self.fail(as_request_error(error))
        finally:
            self._gate.in_flight -= 1

    def spec(self, name: str, version: str | None) -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=name)
        if version is not None:
            spec.version.value = int(version[:18])
        return spec


class _Nowhere(tornado.web.RequestHandler):
    def prepare(self) -> None:
        self.set_status(404)
        self.finish({"error": f"Malformed request: {self.request.method} {self.request.path}"})


class _Model(_Handler):
    async def get(self, name: str, version: str | None = None, method: str | None = None) -> None:
        if method is not None:
            self.fail(invalid(f"Malformed request: GET {self.request.path}"))
            return
        number = int(version[:18]) if version is not None else None
        await self.answer(lambda: to_json(model_status(self._predictor.manager, name, number)))

    async def post(self, name: str, version: str | None = None, method: str | None = None) -> None:
        if method != "predict":
            self.fail(invalid(f"Malformed request: POST {self.request.path}; :predict is the method there is"))
            return
        spec, body = self.spec(name, version), self.request.body
        await self.answer(lambda: predict(self._predictor, spec, body))


class _Metadata(_Handler):
    async def get(self, name: str, version: str | None = None) -> None:
        spec = self.spec(name, version)
        await self.answer(lambda: metadata_json(self._predictor.servable(spec)))
