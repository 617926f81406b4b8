"""Health checks: one rule over all models, which does not change with each load."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tfvs.server.grpc.reflection import PREDICTION_SERVICE

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """The server is ready when every model has a version that serves, and until it is told to end.

    By gRPC the services ``""`` and ``tensorflow.serving.PredictionService`` tell this of the server, and a model's name
    tells it of the model. Checks are answered on a thread of their own.
    """

    def __init__(self) -> None:
        self._servicer = health.HealthServicer(
            experimental_non_blocking=True, experimental_thread_pool=ThreadPoolExecutor(1, thread_name_prefix="health")
        )
        self._lock = threading.Lock()
        self._known: dict[str, bool] = {}
        self._ended = False
        self.update({})

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self._known[""] and not self._ended

    def add_to(self, server: grpc.Server) -> None:
        """Lets a gRPC server answer checks."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def update(self, serving: Mapping[str, bool]) -> None:
        """Notes which models serve."""
        all_serve = bool(serving) and all(serving.values())
        with self._lock:
            gone = dict.fromkeys(self._known, False)
            states = {**gone, **serving, "": all_serve, PREDICTION_SERVICE: all_serve}
            for service, serves in states.items():
                if self._known.get(service) != serves:
                    self._servicer.set(service, SERVING if serves else NOT_SERVING)
            self._known = states

    def end(self) -> None:
        """The server is not ready any more, whatever its models do."""
        self._ended = True
        self._servicer.enter_graceful_shutdown()
