"""JSON bodies of TensorFlow Serving's REST API ↔ arrays."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from tfvs.server.grpc.prediction_service import SIGNATURE_DEF, metadata
from tfvs.server.predictor import Answer, Predictor
from tfvs.server.servable import DEFAULT_SIGNATURE, Arrays, Servable, check_names
from tfvs.server.status import invalid


def predict(predictor: Predictor, spec: model_pb2.ModelSpec, body: bytes) -> str:
    """Answers one ``:predict`` body: ``instances`` (row by row) or ``inputs`` (by column).

    Raises:
      RequestError: With TensorFlow Serving's code.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict) or ("instances" in request) == ("inputs" in request):
        raise invalid("Request must be an object with either 'instances' or 'inputs'")
    servable = predictor.servable(spec)
    name = request.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise invalid("'signature_name' must be a string")
    signature = servable.signature(name)
    by_row = "instances" in request
    columns = _rows_to_columns(request["instances"], signature) if by_row else request["inputs"]
    if not isinstance(columns, dict) or _is_base64(columns):
        columns = {_only(signature): columns}
    check_names(servable.inputs[name], columns)
    arrays: Arrays = {key: _array(key, value, signature.inputs[key]) for key, value in columns.items()}
    return json.dumps(_answer_json(predictor.predict_arrays(servable, name, arrays), by_row))


def _only(signature: meta_graph_pb2.SignatureDef) -> str:
    if len(signature.inputs) != 1:
        raise invalid(f"The signature has {len(signature.inputs)} inputs; name them: {sorted(signature.inputs)}")
    return next(iter(signature.inputs))


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _rows_to_columns(rows: Any, signature: meta_graph_pb2.SignatureDef) -> dict[str, Any]:
    if not isinstance(rows, list) or not rows:
        raise invalid("'instances' must be a list with at least one element")
    if not isinstance(rows[0], dict) or _is_base64(rows[0]):
        return {_only(signature): rows}
    if any(not isinstance(row, dict) or set(row) != set(rows[0]) for row in rows):
        raise invalid("Every element of 'instances' must have the same names")
    return {key: [row[key] for row in rows] for key in rows[0]}


def _array(key: str, value: Any, wanted: meta_graph_pb2.TensorInfo) -> np.ndarray:
    dtype = tf.dtypes.as_dtype(wanted.dtype)
    try:
        if dtype == tf.string:
            return _strings(value)
        return np.asarray(value, dtype=dtype.as_numpy_dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise invalid(f"JSON value of {key} is no {dtype.name} tensor: {error}") from error


def _strings(value: Any) -> np.ndarray:
    """Nested lists of strings or of ``{"b64": …}`` → object array of bytes."""
    if isinstance(value, list):
        parts = [_strings(item) for item in value]
        if len({part.shape for part in parts}) > 1:
            raise ValueError("rows of different length")
        array = np.empty((len(parts), *(parts[0].shape if parts else ())), object)
        for index, part in enumerate(parts):
            array[index] = part if part.ndim else part.item()
        return array
    if _is_base64(value):
        return np.array(base64.b64decode(value["b64"], validate=True), object)
    if not isinstance(value, str):
        raise ValueError(f"expected a string or an object with b64, received {type(value).__name__}")
    return np.array(value.encode(), object)


def _answer_json(answer: Answer, by_row: bool) -> dict[str, Any]:
    values = {key: _plain(key, value) for key, value in answer.outputs.items()}
    if not by_row:
        return {"outputs": next(iter(values.values())) if len(values) == 1 else values}
    if len(values) == 1:
        return {"predictions": next(iter(values.values()))}
    lengths = {len(value) if isinstance(value, list) else -1 for value in values.values()}
    if len(lengths) != 1 or lengths == {-1}:
        raise invalid("The outputs have no common first dimension; ask with 'inputs'")
    return {"predictions": [{key: value[row] for key, value in values.items()} for row in range(lengths.pop())]}


def _plain(key: str, array: np.ndarray) -> Any:
    """JSON values; bytes as base64 where the output's name ends in ``_bytes``, as TensorFlow Serving has it."""
    if array.dtype != object:
        return array.tolist() if np.isfinite(array).all() else _map(array.tolist(), _number)
    if key.endswith("_bytes"):
        return _map(array.tolist(), lambda item: {"b64": base64.b64encode(item).decode()})
    return _map(array.tolist(), lambda item: item.decode(errors="replace"))


def _number(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _map(value: Any, function: Any) -> Any:
    return [_map(item, function) for item in value] if isinstance(value, list) else function(value)


def metadata_json(servable: Servable) -> str:
    """The signatures, as GET …/metadata answers."""
    response = metadata(servable)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(definitions)
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    return json.dumps({"model_spec": spec, "metadata": {SIGNATURE_DEF: json.loads(to_json(definitions))}}, indent=1)


def to_json(message: Any) -> str:
    """A protobuf message, with the fields TensorFlow Serving writes even where they are empty."""
    text = json_format.MessageToJson(message, preserving_proto_field_name=True)
    parsed: Mapping[str, Any] = json.loads(text)
    for status in parsed.get("model_version_status", []):
        fields = status.setdefault("status", {})
        fields.setdefault("error_code", "OK")
        fields.setdefault("error_message", "")
    return json.dumps(parsed, indent=1)
