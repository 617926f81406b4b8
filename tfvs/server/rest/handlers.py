"""Addresses of the REST API → calls: which model, which version, which method, and the status code of the answer."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any
from urllib.parse import unquote

import grpc
import tornado.web
from tensorflow_serving.apis import model_pb2

from tfvs.server.caller import TimedCaller
from tfvs.server.observation import Observation, Observer, tell
from tfvs.server.predictor import Predictor
from tfvs.server.rest import calls
from tfvs.server.rest.json_format import to_bytes
from tfvs.server.rest.request_body import unpacked
from tfvs.server.status import LOGGER, RequestError, as_request_error, invalid

Call = Callable[[Predictor, model_pb2.ModelSpec, bytes], bytes]

API = r"(?i)/v1/.*"
MAX_VERSION = 2**63 - 1
_VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<method>metadata))?", re.IGNORECASE)
_METHODS: dict[str, Call] = {"predict": calls.predict, "classify": calls.classify, "regress": calls.regress}
_API_NAMES: dict[Call, str] = {
    calls.predict: "Predict",
    calls.classify: "Classify",
    calls.regress: "Regress",
    calls.status: "GetModelStatus",
    calls.describe: "GetModelMetadata",
}
_HTTP_CODES = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class Gate:
    """Counts requests in flight; used on the loop's thread alone."""

    def __init__(self, limit: int) -> None:
        self.limit, self.in_flight = limit, 0

    async def idle(self) -> None:
        """Returns when no request is in flight."""
        while self.in_flight:
            await asyncio.sleep(0.01)


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What all REST requests share.

    Attributes:
      predictor: Shared with gRPC.
      executor: Runs the requests.
      gate: Counts them.
      max_body_bytes: Bytes of a body, unpacked.
      cors: Whether web pages of other origins may read the answers.
      observers: Observers that are told of each request.
      max_connections: Connections at a time; more are closed.
      timeout_s: How long a request may take to arrive, and how long to be answered, seconds.
      is_ready: Whether requests should be sent here, for probes.
    """

    predictor: Predictor
    executor: Executor
    gate: Gate
    max_body_bytes: int
    cors: bool = False
    observers: Sequence[Observer] = ()
    max_connections: int = 1024
    timeout_s: float = 30.0
    is_ready: Callable[[], bool] = lambda: True


class BodyHandler(tornado.web.RequestHandler):
    """A request whose body is bytes, whatever its headers say.

    Tornado would parse what calls itself a form, as ``curl -d`` does, on the thread that serves all connections.
    """

    def prepare(self) -> None:
        """Waits for the body."""
        self._chunks: list[bytes] = []

    def data_received(self, chunk: bytes) -> None:
        """Keeps a part of the body."""
        self._chunks.append(chunk)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Logs an unexpected error, without the address: its query may hold credentials."""
        if not isinstance(value, tornado.web.HTTPError):
            LOGGER.error("A REST request failed with an unexpected error.", exc_info=value)


@tornado.web.stream_request_body
class ApiHandler(BodyHandler):
    """Everything under ``/v1/``."""

    def initialize(self, surroundings: Surroundings) -> None:
        """Keeps the objects that all requests share."""
        self._shared = surroundings
        self._caller: TimedCaller | None = None

    def on_connection_close(self) -> None:
        """Marks the client as gone."""
        if self._caller is not None:
            self._caller.leave()

    def set_default_headers(self) -> None:
        """Tells browsers that pages of any origin may ask, where that is wanted."""
        if self.application.settings.get("cors"):
            self.set_header("Access-Control-Allow-Origin", "*")
            self.set_header("Access-Control-Allow-Methods", "POST, GET")
            self.set_header("Access-Control-Allow-Headers", "Content-Type")

    async def get(self) -> None:
        """Answers calls, and says of all other addresses that they are malformed."""
        try:
            call, spec = find_call(self.request.method or "", self.request.path)
        except RequestError as error:
            self.fail(error)
            return
        await self._answer(call, spec)

    head = post = put = delete = patch = get

    def options(self) -> None:
        """Answers a browser that asks what it may send."""
        if re.search("https?://", self.request.headers.get("Origin", "")):
            self._finish(b"")
        else:
            what = "Origin header is missing in CORS preflight"
            self.fail(RequestError(grpc.StatusCode.FAILED_PRECONDITION, what))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors of the HTTP protocol itself, in the form of all others."""
        self._finish(to_bytes({"error": self._reason}))

    def fail(self, error: RequestError) -> None:
        """Answers with an error."""
        self.set_status(_HTTP_CODES.get(error.code, 500))
        self._finish(to_bytes({"error": error.message}))

    async def _answer(self, call: Call, spec: model_pb2.ModelSpec) -> None:
        """Runs the call in the executor, and writes what it returns."""
        shared, body, start = self._shared, b"".join(self._chunks), time.perf_counter()
        self._caller = TimedCaller(shared.timeout_s)
        predictor = shared.predictor.for_caller(self._caller)
        encoding = self.request.headers.get("Content-Encoding", "")
        code = grpc.StatusCode.OK

        def work() -> bytes:
            return call(predictor, spec, unpacked(body, encoding, shared.max_body_bytes))

        if shared.gate.in_flight >= shared.gate.limit:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            self.fail(RequestError(code, "Too many requests at a time."))
        else:
            shared.gate.in_flight += 1
            try:
                self._finish(await asyncio.get_running_loop().run_in_executor(shared.executor, work))
            except Exception as error:
                refused = as_request_error(error)
                code = refused.code
                self.fail(refused)
            finally:
                shared.gate.in_flight -= 1
        if shared.observers:
            seconds, version = time.perf_counter() - start, spec.version.value
            answered = "REST", _API_NAMES[call], spec.name, version, spec.signature_name, code.name, seconds, len(body)
            tell(shared.observers, Observation(*answered))

    def _finish(self, body: bytes) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(body)


class MetricsHandler(tornado.web.RequestHandler):
    """Metrics for Prometheus."""

    def initialize(self, page: Callable[[], bytes], content_type: str) -> None:
        """Keeps what makes the page."""
        self._page, self._content_type = page, content_type

    def get(self) -> None:
        """Answers with all metrics."""
        self.set_header("Content-Type", self._content_type)
        self.finish(self._page())


@tornado.web.stream_request_body
class NowhereHandler(BodyHandler):
    """Addresses outside the API."""

    def get(self) -> None:
        """Answers 404, when the body has been read: a client that is still sending would not see the answer."""
        self.set_status(404)
        self.finish({"error": f"Malformed request: {self.request.method} {self.request.path}"})

    head = post = put = delete = patch = options = get


def find_call(http_method: str, path: str) -> tuple[Call, model_pb2.ModelSpec]:
    """The call and the model that an address means.

    Args:
      http_method: In capital letters.
      path: Path of the request, still percent-encoded.

    Raises:
      RequestError: INVALID_ARGUMENT: there is no such call, or the version is no int64.
    """
    call: Call | None = None
    found = None
    if http_method == "POST":
        found = _POST.fullmatch(path)
        call = _METHODS.get(found["method"]) if found else None
    elif http_method in ("GET", "HEAD"):
        found = _GET.fullmatch(path)
        call = calls.describe if found and found["method"] == "metadata" else calls.status
    if found is None or call is None:
        raise invalid(f"Malformed request: {http_method} {path}")
    spec = model_pb2.ModelSpec(name=_decoded(found["name"] or "", "model name"))
    version = found["version"]
    if version is not None:
        if len(version.lstrip("0")) > len(str(MAX_VERSION)) or int(version) > MAX_VERSION:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(version)
    elif found["label"] is not None:
        spec.version_label = _decoded(found["label"], "model version label")
    return call, spec


def _decoded(text: str, what: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise invalid(f"Failed to decode {what}: {text}") from error
