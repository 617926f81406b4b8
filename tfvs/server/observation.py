"""What is known of a request once it is answered, and the interceptor that notes it of gRPC requests."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc

from tfvs.server.status import LOGGER

_OBSERVED = "/tensorflow.serving."


@dataclasses.dataclass(frozen=True)
class Observation:
    """One answered request.

    Attributes:
      entrypoint: ``gRPC`` or ``REST``.
      api: ``Predict``, ``Classify``, ``GetModelStatus`` and so on.
      model: Name that the client gave.
      version: The version that answered; 0: none did.
      signature: The signature that answered, or that the client named.
      code: Name of the gRPC status code.
      seconds: From the parsed request to the finished answer.
      request_bytes: Size of the message or body.
    """

    entrypoint: str
    api: str
    model: str
    version: int
    signature: str
    code: str
    seconds: float
    request_bytes: int


class Observer(Protocol):
    """Something that wants to know of each request: metrics, a log."""

    def observe(self, observation: Observation) -> None:
        """Notes one request; called from many threads."""
        ...


def tell(observers: Sequence[Observer], observation: Observation) -> None:
    """Tells all observers; one that fails is logged and disturbs neither the answer nor the others."""
    for observer in observers:
        try:
            observer.observe(observation)
        except Exception:
            LOGGER.exception("A request could not be noted by %s.", type(observer).__name__)


class ObservingInterceptor(grpc.ServerInterceptor):
    """Tells observers of every request to TensorFlow Serving's services.

    Args:
      observers: Observers to tell.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Wraps the method that a call goes to."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.unary_unary is None or not method.startswith(_OBSERVED):
            return handler
        inner, api = handler.unary_unary, method.rsplit("/", 1)[-1]

        def observed(request: Any, context: grpc.ServicerContext) -> Any:
            start = time.perf_counter()
            response, code = None, "UNKNOWN"
            try:
                response = inner(request, context)
                code = "OK"
            except Exception:
                status = context.code()
                code = status.name if isinstance(status, grpc.StatusCode) else code
                raise
            finally:
                asked, answered = _spec(request), getattr(response, "model_spec", None)
                tell(
                    self._observers,
                    Observation(
                        "gRPC",
                        api,
                        getattr(asked, "name", ""),
                        answered.version.value if answered is not None else 0,
                        (answered.signature_name if answered is not None else "")
                        or getattr(asked, "signature_name", ""),
                        code,
                        time.perf_counter() - start,
                        request.ByteSize(),
                    ),
                )
            return response

        return grpc.unary_unary_rpc_method_handler(observed, handler.request_deserializer, handler.response_serializer)


def _spec(request: Any) -> Any:
    """The ModelSpec of a request, which MultiInference has in its tasks; None: it has none."""
    if hasattr(request, "tasks"):
        return request.tasks[0].model_spec if request.tasks else None
    return getattr(request, "model_spec", None)
