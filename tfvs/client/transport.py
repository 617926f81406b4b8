"""How a client reaches a model: over gRPC, or in this process."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from tfvs.client.options import ClientOptions
from tfvs.errors import DataError, InputError, ResourceError
from tfvs.export.versions import newest_version

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
Arrays = dict[str, np.ndarray]
# Signature name → input name → shape; -1: any size.
InputShapes = Mapping[str, Mapping[str, list[int]]]


class Transport(Protocol):
    """Runs signatures somewhere."""

    def input_shapes(self) -> InputShapes:
        """Shapes of each signature's inputs."""
        ...

    def call(self, signature: str, inputs: Arrays) -> Arrays:
        """Runs a signature."""
        ...

    def close(self) -> None:
        """Closes what is open."""


class LocalTransport:
    """A SavedModel in this process; a folder of numbered versions means the newest."""

    def __init__(self, path: str) -> None:
        folder = newest_version(path)
        try:
            self._model = tf.saved_model.load(folder)
        except Exception as error:
            first_line = (str(error).splitlines() or [""])[0]
            raise DataError(f"Cannot load {folder}", received=f"{type(error).__name__}: {first_line}") from error

    def input_shapes(self) -> InputShapes:
        """Shapes of each signature's inputs."""
        return {
            name: {
                key: [-1 if n is None else n for n in spec.shape]
                for key, spec in f.structured_input_signature[1].items()
            }
            for name, f in self._model.signatures.items()
        }

    def call(self, signature: str, inputs: Arrays) -> Arrays:
        """Runs a signature."""
        outputs = self._model.signatures[signature](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    def close(self) -> None:
        """Does nothing, since nothing is open."""


class GrpcTransport:
    """TensorFlow Serving, or the embedded server.

    Tries again on UNAVAILABLE alone (the server restarts, or its queue is full), with growing pauses of random length,
    until the deadline: any other status would be the same again.
    """

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        # TensorFlow Serving takes messages up to 2 GiB, and answers may be larger than gRPC's default of 4 MB.
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        if options.tls_ca:
            self._channel = grpc.secure_channel(options.server, _credentials(options), options=limits)
        else:
            self._channel = grpc.insecure_channel(options.server, options=limits)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._metadata = [tuple(pair.split("=", 1)) for pair in options.metadata]
        self._shapes: InputShapes | None = None

    def input_shapes(self) -> InputShapes:
        """Shapes of each signature's inputs; the server is asked once."""
        if self._shapes is None:
            request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
            request.model_spec.name = self._options.model_name
            response = self._attempt(self._stub.GetModelMetadata, request)
            found = get_model_metadata_pb2.SignatureDefMap()
            response.metadata["signature_def"].Unpack(found)
            self._shapes = {
                name: {key: [dim.size for dim in info.tensor_shape.dim] for key, info in signature.inputs.items()}
                for name, signature in found.signature_def.items()
            }
        return self._shapes

    def call(self, signature: str, inputs: Arrays) -> Arrays:
        """Runs a signature.

        Raises:
          InputError: The server refuses the request.
          ResourceError: The server cannot be reached, or not in time.
        """
        request = predict_request(self._options.model_name, signature, inputs)
        response = self._attempt(self._stub.Predict, request)
        return {key: np.asarray(tf.make_ndarray(value)) for key, value in response.outputs.items()}

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _attempt(self, method: Callable[..., Any], request: object) -> Any:
        deadline = time.monotonic() + self._options.timeout_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return method(request, timeout=max(deadline - time.monotonic(), 1e-3), metadata=self._metadata)
            except grpc.RpcError as error:
                wait = random.uniform(0, pause)
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() + wait >= deadline:
                    raise _translated(error, self._options) from error
            time.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE_S)


def predict_request(model_name: str, signature: str, inputs: Arrays) -> predict_pb2.PredictRequest:
    """The message that is sent."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model_name, signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def _translated(error: grpc.RpcError, options: ClientOptions) -> Exception:
    code, details = error.code(), f"{error.code().name}: {error.details()}"
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return ResourceError(
            f"No answer from {options.server} within {options.timeout_s:g} s",
            received=details,
            mend="Check that the server runs there (tfvs serve) and has the capacity, or allow more time",
        )
    return InputError(f"{options.server} refuses the request", received=details)


def _credentials(options: ClientOptions) -> grpc.ChannelCredentials:
    def read(path: str) -> bytes | None:
        try:
            return Path(path).read_bytes() if path else None
        except OSError as error:
            raise ResourceError("Cannot read the TLS file", received=f"{path}: {error.strerror}") from error

    return grpc.ssl_channel_credentials(read(options.tls_ca), read(options.tls_key), read(options.tls_certificate))
