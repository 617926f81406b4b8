"""Addresses of the REST API → calls: which model, which version, which method, and the status code of the answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any
from urllib.parse import unquote

import grpc
import tornado.web
from tensorflow_serving.apis import model_pb2

from tfvs.server.predictor import Predictor
from tfvs.server.rest import calls
from tfvs.server.rest.json_format import to_bytes
from tfvs.server.status import RequestError, as_request_error, invalid

API = r"(?i)/v1/.*"
MAX_VERSION = 2**63 - 1
_VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<method>metadata))?", re.IGNORECASE)
_METHODS = {"predict": calls.predict, "classify": calls.classify, "regress": calls.regress}
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

Call = Callable[[Predictor, model_pb2.ModelSpec, bytes], bytes]


class Gate:
    """Counts requests in flight; used on the loop's thread alone."""

    def __init__(self, limit: int) -> None:
        self.limit, self.in_flight = limit, 0

    async def idle(self) -> None:
        """Returns when no request is in flight."""
        while self.in_flight:
            await asyncio.sleep(0.01)


class ApiHandler(tornado.web.RequestHandler):
    """Everything under ``/v1/``."""

    def initialize(self, predictor: Predictor, executor: Executor, gate: Gate) -> None:
        """Keeps what all requests share."""
        self._predictor, self._executor, self._gate = predictor, executor, gate

    async def get(self) -> None:
        """Answers status and metadata, and says of all other addresses that they are malformed."""
        try:
            call, spec = find_call(self.request.method or "", self.request.path)
        except RequestError as error:
            self.fail(error)
            return
        await self._answer(lambda: call(self._predictor, spec, self.request.body))

    head = post = put = delete = patch = get

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors of the HTTP protocol itself, in the form of all others."""
        self._finish(to_bytes({"error": self._reason}))

    def fail(self, error: RequestError) -> None:
        """Answers with an error."""
        self.set_status(_HTTP_CODES.get(error.code, 500))
        self._finish(to_bytes({"error": error.message}))

    async def _answer(self, work: Callable[[], bytes]) -> None:
        """Runs the work in the executor, and writes what it returns."""
        if self._gate.in_flight >= self._gate.limit:
            self.fail(RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many requests at a time."))
            return
        self._gate.in_flight += 1
        try:
            self._finish(await asyncio.get_running_loop().run_in_executor(self._executor, work))
        except Exception as error:
            self.fail(as_request_error(error))
        finally:
            self._gate.in_flight -= 1

    def _finish(self, body: bytes) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(body)


class NowhereHandler(tornado.web.RequestHandler):
    """Addresses outside the API."""

    def prepare(self) -> None:
        """Answers 404."""
        self.set_status(404)
        self.finish({"error": f"Malformed request: {self.request.method} {self.request.path}"})


def find_call(http_method: str, path: str) -> tuple[Call, model_pb2.ModelSpec]:
    """The call and the model that an address means.

    Args:
      http_method: In capital letters.
      path: Of the request, still percent-encoded.

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
