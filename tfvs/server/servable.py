"""One loaded version of a model: its signatures, the check of a request against them, and its warm-up."""

from __future__ import annotations

import logging
import math
import os
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

from tfvs.errors import DataError, ResourceError
from tfvs.export.description import read_description
from tfvs.export.from_storage import EXAMPLES, PATH, StorageAnswers, are_read_here
from tfvs.export.image_roots import ROOTS_FILE, parse_image_roots
from tfvs.images.crops.remote import are_remote
from tfvs.server.log_limits import OncePerCause
from tfvs.server.session import DESCRIPTORS, Step, load_session, make_step, replace_asset
from tfvs.server.status import RequestError, invalid
from tfvs.server.tensors import shape_of, to_array

DEFAULT_SIGNATURE = "serving_default"
SAVED_MODEL_FILE = "saved_model.pb"
_NOT_FOR_SERVING = ("__saved_model_init_op", "__saved_model_train_op")
WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
MAX_WARMUP_RECORDS = 1000
# A few bytes of a TensorProto may stand for a tensor of any size (one value, repeated): bounded before it is made.
MAX_TENSOR_BYTES = 2**31 - 1

Arrays = dict[str, np.ndarray]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InputSpec:
    """What a signature wants of one input, read from its SignatureDef once rather than at every request.

    Attributes:
      dtype: TensorFlow's number.
      shape: -1: any size; None: any rank.
      item_bytes: Bytes of one value; 1 for strings.
    """

    dtype: int
    shape: list[int] | None
    item_bytes: int

    @classmethod
    def of(cls, info: meta_graph_pb2.TensorInfo) -> InputSpec:
        """From a SignatureDef's entry."""
        shape = None if info.tensor_shape.unknown_rank else [dimension.size for dimension in info.tensor_shape.dim]
        return cls(info.dtype, shape, tf.dtypes.as_dtype(info.dtype).size or 1)


class Servable:
    """A SavedModel in memory, in a session as TensorFlow Serving has it.

    A signature called in Python (``tf.saved_model.load``) binds and checks its arguments anew at every call; a step
    of the session goes straight to the same kernels, which saves a fifth of a small request.

    Args:
      name: The model's name.
      version: Its version number.
      path: Folder of the SavedModel.

    Attributes:
      definitions: Signature name → SignatureDef, all there are.
      signatures: Those of them that are meant for serving.
      inputs: Signature name → input name → what is wanted of it.
      checks_shapes: Whether inputs must have the shapes of the signature. This is so for exports of tfvs; with other
        models the operations decide, as in TensorFlow Serving.
      image_roots: Folders that images may be read from, once :meth:`confine` was called; empty for a model that reads
        none.

    Raises:
      DataError: The folder holds no SavedModel that can be loaded.
    """

    def __init__(self, name: str, version: int, path: str) -> None:
        self.name, self.version, self.path = name, version, path
        try:
            self._session, definition = load_session(path)
            self.definitions: dict[str, meta_graph_pb2.SignatureDef] = dict(definition.signature_def)
            self.signatures = {key: value for key, value in self.definitions.items() if key not in _NOT_FOR_SERVING}
            self.checks_shapes = any(asset.filename == ROOTS_FILE for asset in definition.asset_file_def)
        except Exception as error:
            first_line = (str(error).splitlines() or [""])[0]
            raise DataError(f"Cannot load {path}", received=f"{type(error).__name__}: {first_line}") from error
        self.inputs = {
            name: {key: InputSpec.of(info) for key, info in signature.inputs.items()}
            for name, signature in self.signatures.items()
        }
        self.image_roots: list[str] = []
        self._definition = definition
        self._steps: dict[str, Step] = {}
        self._from_storage: StorageAnswers | None = None
        self._faults = OncePerCause()

    def confine(self) -> None:
        """Lets the graph open nothing but what this process has opened for it, and folders with a scheme.

        The roots are read now, and never again. From here on local paths must come from
        :class:`tfvs.server.path_guard.PathGuard`.

        Raises:
          DataError: The file of the image roots cannot be read or used.
        """
        if not any(asset.filename == ROOTS_FILE for asset in self._definition.asset_file_def):
            return
        path = os.path.join(self.path, tf.saved_model.ASSETS_DIRECTORY, ROOTS_FILE)
        try:
            contents = tf.io.gfile.GFile(path, "rb").read()
        except tf.errors.OpError as error:
            raise DataError("The image roots cannot be read", received=path) from error
        roots = parse_image_roots(contents, path)
        opened = "".join(f"{root}\n" for root in [DESCRIPTORS, *(root for root in roots if not root.startswith("/"))])
        memory = replace_asset(self._session, self._definition, self.path, ROOTS_FILE, opened.encode())
        weakref.finalize(self, os.close, memory)
        self.image_roots = roots
        if are_remote(roots):
            self._read_from_storage(roots)

    def _read_from_storage(self, roots: list[str]) -> None:
        description = read_description(self.path)
        if are_read_here(description, roots):
            # Local images are read by the descriptors that the guard gives, others by their URIs.
            remote = [root for root in roots if not root.startswith("/")]
            self._from_storage = StorageAnswers(self._run_graph, description, [*remote, DESCRIPTORS])
        else:
            told = "%s draws several trajectories: it reads no images by s3://, and those by gs:// tile by tile"
            _log.warning(told, self.path)

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """The signature of that name.

        Raises:
          RequestError: FAILED_PRECONDITION, there is none.
        """
        if name not in self.signatures:
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        return self.signatures[name]

    def run(self, signature_name: str, inputs: Mapping[str, np.ndarray], timeout_s: float | None = None) -> Arrays:
        """Calls the signature. Thread-safe; TensorFlow releases the interpreter's lock while it computes.

        Args:
          signature_name: Which one.
          inputs: Input name → value.
          timeout_s: How long it may take, seconds; None: any time.

        Raises:
          DeadlineExceededError: It took longer; no part of it still runs.
          RequestError: UNAVAILABLE, object storage refuses what the images need.
        """
        if self._from_storage is not None and {EXAMPLES, PATH} & set(inputs):
            return self._answer_from_storage(self._from_storage, inputs)
        return self._run_graph(signature_name, inputs, timeout_s)

    def _run_graph(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], timeout_s: float | None = None
    ) -> Arrays:
        step = self._steps.get(signature_name)
        if step is None:  # two threads may both make one, which does no harm
            step = self._steps[signature_name] = make_step(self._session, self.signatures[signature_name])
        outputs = step([inputs[key] for key in self.inputs[signature_name]], timeout_s)
        return dict(zip(self.signatures[signature_name].outputs, map(_as_array, outputs), strict=True))

    def _answer_from_storage(self, answers: StorageAnswers, inputs: Mapping[str, np.ndarray]) -> Arrays:
        try:
            return answers.answer(dict(inputs))
        except ResourceError as error:
            self._faults.error("Images in object storage cannot be read: %s", error)
            raise RequestError(grpc.StatusCode.UNAVAILABLE, "Images cannot be read from object storage.") from error

    def warm_up(self) -> int:
        """Replays the requests in ``assets.extra/tf_serving_warmup_requests``, where there are any.

        Returns:
          How many were replayed.

        Raises:
          DataError: One of them fails: the version must not serve.
        """
        path = os.path.join(self.path, WARMUP_FILE)
        if not tf.io.gfile.exists(path):
            return 0
        count = 0
        try:
            for record in tf.data.TFRecordDataset(path).take(MAX_WARMUP_RECORDS).as_numpy_iterator():
                log = prediction_log_pb2.PredictionLog.FromString(record)
                if log.WhichOneof("log_type") != "predict_log":
                    continue
                request = log.predict_log.request
                name = request.model_spec.signature_name or DEFAULT_SIGNATURE
                self.signature(name)
                self._run_graph(name, arrays_from_protos(self, name, request.inputs))
                count += 1
        except Exception as error:
            raise DataError(f"Warm-up request {count} of {path} fails", received=error) from error
        return count


def _as_array(value: np.ndarray | bytes) -> np.ndarray:
    """An output of the session; a scalar string comes as bytes, of which NumPy would cut trailing zero bytes off."""
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def arrays_from_protos(servable: Servable, signature_name: str, inputs: Mapping[str, tensor_pb2.TensorProto]) -> Arrays:
    """Decodes and checks a request's tensors.

    Args:
      servable: Has the signature.
      signature_name: Which one.
      inputs: Input name → TensorProto.

    Raises:
      RequestError: INVALID_ARGUMENT for missing or extra inputs, another dtype, rank or shape, or a tensor that is not
        complete.
    """
    wanted = servable.inputs[signature_name]
    check_names(wanted, inputs)
    arrays = {}
    for key, proto in inputs.items():
        spec, shape = wanted[key], shape_of(proto)
        _check_dtype(key, proto.dtype, spec)
        if servable.checks_shapes:
            check_shape(key, shape, spec)
        if min(shape, default=0) < 0:
            raise invalid(f"tensor parsing error: {key}: shape {shape} has a negative size.")
        if proto.tensor_shape.unknown_rank or math.prod(shape) * spec.item_bytes > MAX_TENSOR_BYTES:
            raise invalid(f"tensor parsing error: {key}: shape {shape} is too large or unknown.")
        try:
            array = to_array(proto, shape)
            if list(array.shape) != shape:
                raise ValueError(f"the content has shape {list(array.shape)}, the message says {shape}")
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise invalid(f"tensor parsing error: {key}: {error}") from error
        arrays[key] = array
    return arrays


def check_names(wanted: Iterable[str], inputs: Iterable[str]) -> None:
    """Raises RequestError, in TensorFlow Serving's words, where inputs are missing or there are others."""
    if set(wanted) == set(inputs):
        return
    sent, known = sorted(inputs), sorted(wanted)
    extra, missing = sorted(set(sent) - set(known)), sorted(set(known) - set(sent))
    if len(sent) != len(known):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(known)} len({{{','.join(sent)}}}) != "
            f"len({{{','.join(known)}}}). Sent extra: {{{','.join(extra)}}}. "
            f"Missing but required: {{{','.join(missing)}}}."
        )
    raise invalid(
        f"input tensor alias not found in signature: {extra[0]}. "
        f"Inputs expected to be in the set {{{','.join(known)}}}."
    )


def check_outputs(signature: meta_graph_pb2.SignatureDef, wanted: list[str]) -> None:
    """Raises RequestError where an output filter names what the signature does not have, or names it twice."""
    known = sorted(signature.outputs)
    for index, key in enumerate(wanted):
        if key not in known:
            raise invalid(
                f"output tensor alias not found in signature: {key} "
                f"Outputs expected to be in the set {{{','.join(known)}}}."
            )
        if key in wanted[:index]:
            raise invalid(f"duplicate output tensor alias: {key}")


def _check_dtype(key: str, dtype: int, wanted: InputSpec) -> None:
    if dtype != wanted.dtype:
        try:
            sent = tf.dtypes.as_dtype(dtype).name
        except TypeError:
            sent = f"unknown ({dtype})"
        raise invalid(f"Expects arg[{key}] to be {tf.dtypes.as_dtype(wanted.dtype).name} but {sent} is provided")


def check_shape(key: str, shape: list[int], wanted: InputSpec) -> None:
    """Raises RequestError where a shape does not fit the signature."""
    expected = wanted.shape
    fits = expected is None or (
        len(shape) == len(expected) and shape == [s if e < 0 else e for s, e in zip(shape, expected, strict=True)]
    )
    if not fits:
        raise invalid(f"Expects arg[{key}] to have shape {expected} (-1: any) but shape {shape} is provided")
