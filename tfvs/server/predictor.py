"""From a checked request of any protocol to arrays: the code that gRPC and REST share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import model_pb2

from tfvs.server.batching import Runner
from tfvs.server.caller import Caller, PatientCaller
from tfvs.server.image_cost import bounded
from tfvs.server.manager import ModelManager
from tfvs.server.path_guard import PathGuard
from tfvs.server.servable import (
    DEFAULT_SIGNATURE,
    Arrays,
    Servable,
    arrays_from_protos,
    check_names,
    check_outputs,
    check_shape,
)
from tfvs.server.status import RequestError, invalid

METHODS = tuple(f"tensorflow/serving/{kind}" for kind in ("predict", "classify", "regress"))

IMAGE_BYTES = "image_bytes"


@dataclass(frozen=True)
class Answer:
    """What a signature gave, and which one it was."""

    servable: Servable
    signature_name: str
    outputs: Arrays

    def describe(self, spec: model_pb2.ModelSpec) -> None:
        """Writes which model, version and signature answered."""
        spec.name, spec.signature_name = self.servable.name, self.signature_name
        spec.version.value = self.servable.version


class Predictor:
    """Finds the servable, checks the inputs, guards the paths and runs.

    Args:
      manager: Holds the servables.
      runner: Runs a checked request, alone or in a batch.
      guard: Opens images below the allowed roots.
      max_request_pixels: Pixels of all images sent with one request.
      check_method_names: Whether a signature's method name must be that of the call.

    Attributes:
      on_answer: Called with every answer.
    """

    def __init__(
        self,
        manager: ModelManager,
        runner: Runner,
        guard: PathGuard,
        *,
        max_request_pixels: int,
        check_method_names: bool = False,
    ) -> None:
        self.manager, self._runner, self._guard = manager, runner, guard
        self.caller: Caller = PatientCaller()
        self.check_method_names, self._max_request_pixels = check_method_names, max_request_pixels
        self.on_answer: Callable[[Answer], None] = lambda answer: None

    def for_caller(self, caller: Caller) -> Predictor:
        """The same, for requests of this caller."""
        bound = copy.copy(self)
        bound.caller = caller
        return bound

    def servable(self, spec: model_pb2.ModelSpec) -> Servable:
        """The servable a ModelSpec means.

        Raises:
          RequestError: NOT_FOUND, INVALID_ARGUMENT or UNAVAILABLE, in TensorFlow Serving's words.
        """
        if not spec.name:
            raise invalid("Missing ModelSpec" if not spec.ByteSize() else "ModelSpec has no name specified.")
        version = self.version(spec)
        found = self.manager.find(spec.name, version)
        if found is None:
            self.manager.check_loaded(spec.name)
            wanted = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise RequestError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return found

    def version(self, spec: model_pb2.ModelSpec) -> int | None:
        """The version that a ModelSpec asks for, by number or by label; None: the newest.

        Raises:
          RequestError: INVALID_ARGUMENT, the model has no such label.
        """
        if spec.WhichOneof("version_choice") != "version_label":
            return spec.version.value if spec.HasField("version") else None
        version = self.manager.labelled(spec.name, spec.version_label)
        if version is None:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        return version

    def predict_protos(
        self,
        spec: model_pb2.ModelSpec,
        inputs: Mapping[str, tensor_pb2.TensorProto],
        output_filter: Sequence[str] = (),
        caller: Caller | None = None,
    ) -> Answer:
        """Runs a PredictRequest's tensors.

        Raises:
          RequestError: With the code TensorFlow Serving gives.
        """
        servable = self.servable(spec)
        name = spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.signature(name)
        if self.check_method_names and signature.method_name not in METHODS:
            expected = ", ".join(METHODS)
            what = (
                f"Expected prediction signature method_name to be one of {{{expected}}}. Was: {signature.method_name}"
            )
            raise RequestError(grpc.StatusCode.INTERNAL, what)
        check_outputs(signature, list(output_filter))
        missing = {key: value for key, value in signature.defaults.items() if key not in inputs}
        arrays = arrays_from_protos(servable, name, {**missing, **inputs})
        return self._run(servable, name, arrays, output_filter, caller or self.caller)

    def predict_arrays(
        self, servable: Servable, signature_name: str, inputs: Arrays, caller: Caller | None = None
    ) -> Answer:
        """Runs arrays that have the signature's dtypes.

        Raises:
          RequestError: With the code TensorFlow Serving gives.
        """
        servable.signature(signature_name)
        wanted = servable.inputs[signature_name]
        check_names(wanted, inputs)
        if servable.checks_shapes:
            for key, value in inputs.items():
                check_shape(key, list(value.shape), wanted[key])
        return self._run(servable, signature_name, inputs, (), caller or self.caller)

    def _run(
        self,
        servable: Servable,
        signature_name: str,
        inputs: Arrays,
        output_filter: Sequence[str],
        caller: Caller,
    ) -> Answer:
        if servable.image_roots and IMAGE_BYTES in inputs and inputs[IMAGE_BYTES].dtype == object:
            images = [tf.compat.as_bytes(image) for image in inputs[IMAGE_BYTES].ravel()]
            checked = np.array(bounded(images, self._max_request_pixels), object)
            inputs = {**inputs, IMAGE_BYTES: checked.reshape(inputs[IMAGE_BYTES].shape)}
        with self._guard.opened(servable, inputs) as opened:
            outputs = self._runner.run(servable, signature_name, opened, caller)
        kept = output_filter or sorted(outputs)
        answer = Answer(servable, signature_name, {key: outputs[key] for key in kept})
        self.on_answer(answer)
        return answer
