"""How a request fails: the status codes of TensorFlow Serving, from one exception and one decorator."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from typing import Any

import grpc
import tensorflow as tf

LOGGER = logging.getLogger("tfvs.server")
MAX_MESSAGE_CHARACTERS = 1024

MAX_LOGGED = 1000
HIDDEN = "(a file of the server)"
_NODE = re.compile(r"\{\{[^{}]*\}\}|\[\[[^\[\]]*\]\]")
_PATH = re.compile(r"(?<![\w:/.])/(?:[\w.@+~-]+/)+[\w.@+~-]*")
_logged: set[str] = set()

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class RequestError(Exception):
    """An error of one request alone; other requests are not concerned.

    Args:
      code: The gRPC status code that TensorFlow Serving gives for it.
      message: In TensorFlow Serving's form.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message[:MAX_MESSAGE_CHARACTERS]


def invalid(message: str) -> RequestError:
    """INVALID_ARGUMENT, the most frequent one."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def unimplemented(message: str) -> RequestError:
    """UNIMPLEMENTED: the protocol has it, but this server does not."""
    return RequestError(grpc.StatusCode.UNIMPLEMENTED, message)


def as_request_error(error: Exception) -> RequestError:
    """The status an exception of any kind is reported as; an unexpected error is INTERNAL and goes to the log."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, tf.errors.OpError):
        code = _CODES.get(error.error_code, grpc.StatusCode.INTERNAL)
        shown = _essence(error.message)
        if HIDDEN in shown:
            _log_once(error.message)
        return RequestError(code, shown or type(error).__name__)
    if isinstance(error, MemoryError):
        return RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "The request needs more memory than there is.")
    LOGGER.error("A request failed with an unexpected error.", exc_info=error)
    return RequestError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {_essence(str(error))}")


def _essence(message: str) -> str:
    """What the failing operation said, without Python's preamble, the names of nodes, and paths of the server."""
    said = message.rsplit("<stack traces unavailable>", 1)[-1].split(" [Op:", 1)[0]
    said = _PATH.sub(HIDDEN, _NODE.sub("", said))
    return "\n".join(line.strip() for line in said.splitlines() if line.strip())


def _log_once(message: str) -> None:
    """Logs the whole message for operators, once per cause."""
    if message not in _logged and len(_logged) < MAX_LOGGED:
        _logged.add(message)
        LOGGER.error("A request failed: %s", message)


def answered(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turns what a servicer's method raises into a gRPC status."""

    @functools.wraps(method)
    def wrapper(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except Exception as error:
            status = as_request_error(error)
            context.abort(status.code, status.message)

    return wrapper
