"""What tests ask a running server."""

from __future__ import annotations

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tests.server.toy import request
from tfvs.server.model_server import ModelServer

X = np.ones([1, 3], np.float32)


def factor(client, timeout: float = 30) -> float:
    return float(tf.make_ndarray(client.Predict(request(x=X), timeout=timeout).outputs["y"])[0, 0])


def status(server: ModelServer, name: str = "toy", version: int | None = None):
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = name
    if version is not None:
        message.model_spec.version.value = version
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        response = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(message, timeout=30)
    return {item.version: (item.state, item.status.error_message) for item in response.model_version_status}
