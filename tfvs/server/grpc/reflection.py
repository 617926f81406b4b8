"""gRPC reflection: tools such as grpcurl ask the server itself which services and messages there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

PREDICTION_SERVICE = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
MODEL_SERVICE = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name
SERVICES = (PREDICTION_SERVICE, MODEL_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
# A stream holds one of the server's threads while it is open; every tool is done in a moment.
MAX_STREAM_SECONDS = 5.0


class Reflection(reflection.ReflectionServicer):
    """Tells what the services are; a stream that stays open is ended, so that none keeps a thread from requests."""

    def ServerReflectionInfo(self, request_iterator: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Descriptors, as they are asked for."""
        timer = threading.Timer(MAX_STREAM_SECONDS, context.cancel)
        timer.daemon = True
        timer.start()
        try:
            yield from super().ServerReflectionInfo(request_iterator, context)
        finally:
            timer.cancel()


def add_reflection(server: grpc.Server) -> None:
    """Lets a server tell its services, by ``grpc.reflection.v1`` and by ``v1alpha``, which older tools speak.

    The messages of both have the same fields and numbers, so that one servicer answers both. The package of v1alpha is
    the one that exists in Python; v1 is not among the services listed, for there is no descriptor of it to show.
    """
    servicer = Reflection(SERVICES)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(REFLECTION_V1, methods)])
