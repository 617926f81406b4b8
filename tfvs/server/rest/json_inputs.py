"""``instances`` and ``inputs`` of a REST predict request → arrays: every value is checked against its dtype.

The rules are those of TensorFlow Serving's REST documentation. Where its converter would change a value in silence
(300 for an uint8, 1e39 for a float), this one refuses it; docs/serving.md lists these differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tfvs.server.rest.json_format import NamedFloat, bytes_from_json, is_base64, json_type, shown
from tfvs.server.servable import Arrays
from tfvs.server.status import RequestError, invalid

INSTANCES, INPUTS = "instances", "inputs"
_INTEGERS = tuple(np.dtype(kind) for kind in ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"))
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def arrays_from_json(request: Mapping[str, Any], signature: meta_graph_pb2.SignatureDef) -> tuple[Arrays, bool]:
    """Reads the tensors of a predict request.

    Args:
      request: The parsed body, with ``instances`` (row by row) or ``inputs`` (column by column).
      signature: Names and dtypes of the inputs.

    Returns:
      Input name → array of the input's dtype, and whether the request is row by row.

    Raises:
      RequestError: INVALID_ARGUMENT, in TensorFlow Serving's words; UNIMPLEMENTED for a dtype that JSON cannot hold.
    """
    if INSTANCES in request and INPUTS in request:
        what = f"Not formatted correctly expecting only one of '{INPUTS}' or '{INSTANCES}' keys to exist"
        raise invalid(f"JSON Value: {shown(request)} {what}")
    by_row = INSTANCES in request
    if not by_row and INPUTS not in request:
        raise invalid(f"Missing '{INPUTS}' or '{INSTANCES}' key")
    if not signature.inputs:
        raise invalid("Failed to get input map for signature: it has no inputs")
    if not by_row:
        columns = _columns(request[INPUTS], signature)
        return {key: _tensor(value, signature.inputs[key]) for key, value in columns.items()}, False
    columns = _rows_to_columns(request, signature)
    return {key: _tensor_of_rows(key, rows, signature.inputs[key]) for key, rows in columns.items()}, True


def _columns(value: Any, signature: meta_graph_pb2.SignatureDef) -> dict[str, Any]:
    names = sorted(signature.inputs)
    if not isinstance(value, dict) or is_base64(value):
        if len(names) > 1:
            raise invalid(
                f"{INPUTS} is a plain value/list, but expecting an object as multiple input tensors required as per "
                f"tensorinfo_map: {', '.join(names)}"
            )
        return {names[0]: value}
    for name in names:
        if name not in value:
            raise invalid(f"Missing named input: {name} in '{INPUTS}' object.")
    for name in value:
        if name not in names:
            raise invalid(f"JSON object: does not have named input: {name}")
    return value


def _rows_to_columns(request: Mapping[str, Any], signature: meta_graph_pb2.SignatureDef) -> dict[str, list[Any]]:
    rows, names = request[INSTANCES], sorted(signature.inputs)
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {shown(request)} Expecting '{INSTANCES}' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {shown(request)} No values in '{INSTANCES}' array")
    named = isinstance(rows[0], dict) and not is_base64(rows[0])
    if not named and len(names) > 1:
        raise invalid(
            f"{INSTANCES} is a plain list, but expecting list of objects as multiple input tensors required as per "
            f"tensorinfo_map: {', '.join(names)}"
        )
    for number, row in enumerate(rows):
        if named != (isinstance(row, dict) and not is_base64(row)):
            what = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {what} at item {number} of input list")
        if named and row.keys() != set(names):
            _refuse_names(number, row, names)
    return {name: [row[name] for row in rows] for name in names} if named else {names[0]: rows}


def _refuse_names(number: int, row: Mapping[str, Any], names: list[str]) -> None:
    for name in row:
        if name not in names:
            raise invalid(
                f"Failed to process element: {number} key: {name} of '{INSTANCES}' list. "
                f"Error: JSON object: does not have named input: {name}"
            )
    raise invalid(
        f"Failed to process element: {number} of '{INSTANCES}' list. JSON object: {shown(row)} "
        f"keys must be equal to: {','.join(names)}"
    )


def _tensor_of_rows(key: str, rows: list[Any], wanted: meta_graph_pb2.TensorInfo) -> np.ndarray:
    """All rows at once; only where that fails are they looked at one by one, to say which it is."""
    try:
        return _tensor(rows, wanted)
    except RequestError as failure:
        first: np.ndarray | None = None
        for number, row in enumerate(rows):
            try:
                array = _tensor(row, wanted)
                first = array if first is None else first
                if array.size != first.size:
                    raise invalid(f"Expecting tensor size: {first.size} but got: {array.size}")
                if array.shape != first.shape:
                    raise invalid(f"Expecting shape {list(first.shape)} but got: {list(array.shape)}")
            except RequestError as error:
                message = (
                    f"Failed to process element: {number} key: {key} of '{INSTANCES}' list. Error: {error.message}"
                )
                raise RequestError(error.code, message) from error
        raise failure


def _tensor(value: Any, wanted: meta_graph_pb2.TensorInfo) -> np.ndarray:
    shape, leaves = _flatten(value)
    dtype = tf.dtypes.as_dtype(wanted.dtype)
    numpy_dtype = np.dtype(object) if dtype == tf.string else np.dtype(dtype.as_numpy_dtype)
    if not leaves:
        return np.zeros(shape, numpy_dtype)
    if dtype == tf.string:
        array = _strings(leaves)
    elif dtype == tf.bool:
        _check_types(leaves, {bool}, dtype)
        array = np.array(leaves, bool)
    elif numpy_dtype in _INTEGERS:
        array = _integers(leaves, dtype)
    elif numpy_dtype in _FLOATS:
        array = _floats(leaves, dtype)
    else:
        what = f"Conversion of JSON Value: {shown(leaves[0])} to type: {dtype.name}"
        raise RequestError(grpc.StatusCode.UNIMPLEMENTED, what)
    return array.reshape(shape)


def _flatten(value: Any) -> tuple[list[int], list[Any]]:
    """The shape of nested lists, and what is in them, level by level."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        for item in level:
            if not isinstance(item, list):
                raise _wrong_level(item, len(shape), "a list of the same shape as its neighbours")
            if len(item) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(item)} at level: {len(shape)} expected size: {size}"
                )
        shape.append(size)
        level = list(chain.from_iterable(level))
    for item in level:
        if isinstance(item, list):
            raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}")
    return shape, level


def _wrong_level(value: Any, level: int, expected: str) -> RequestError:
    return invalid(f"JSON Value: {shown(value)} found at incorrect level: {level} in the JSON DOM. Expected {expected}")


def _check_types(leaves: list[Any], allowed: set[type], dtype: tf.DType) -> None:
    if not set(map(type, leaves)) <= allowed:
        raise _type_error(next(leaf for leaf in leaves if type(leaf) not in allowed), dtype)


def _type_error(value: Any, dtype: tf.DType) -> RequestError:
    name = {tf.float32: "float", tf.float64: "double"}.get(dtype, dtype.name)
    return invalid(f"JSON Value: {shown(value)} Type: {json_type(value)} is not of expected type: {name}")


def _integers(leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    _check_types(leaves, {int}, dtype)
    for extreme in (min(leaves), max(leaves)):
        if not dtype.min <= extreme <= dtype.max:
            raise _type_error(extreme, dtype)
    return np.array(leaves, dtype.as_numpy_dtype)


def _floats(leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    _check_types(leaves, {int, float, NamedFloat}, dtype)
    try:
        values = np.array(leaves, np.float64)
    except OverflowError as error:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from error
    with np.errstate(over="ignore"):
        array = values.astype(dtype.as_numpy_dtype)
    for index in np.flatnonzero(~np.isfinite(array)):
        if not isinstance(leaves[index], NamedFloat):
            what = "too big to be stored in double" if np.isinf(values[index]) else "too big for its type, float"
            raise invalid(f"JSON Value: {shown(leaves[index])}: Number {what}.")
    return array


def _strings(leaves: list[Any]) -> np.ndarray:
    array = np.empty(len(leaves), object)
    for index, leaf in enumerate(leaves):
        if not isinstance(leaf, str | dict):
            raise _type_error(leaf, tf.string)
        array[index] = bytes_from_json(leaf)
    return array
