"""Arrays → ``predictions`` or ``outputs`` of a REST predict answer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from tfvs.server.rest.json_format import to_bytes
from tfvs.server.servable import Arrays
from tfvs.server.status import invalid

_WRITABLE = {np.dtype(kind) for kind in ("bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64")}
_WRITABLE |= {np.dtype(np.float32), np.dtype(np.float64), np.dtype(object)}
_POWERS = np.array([float(10**power) for power in range(23)])  # those that a double holds exactly


def json_from_arrays(outputs: Arrays, by_row: bool) -> bytes:
    """Writes the answer of a predict request.

    Args:
      outputs: Output name → array.
      by_row: Whether the request had ``instances``; the answer then has one entry per row of the outputs.

    Raises:
      RequestError: INVALID_ARGUMENT: outputs of different first dimensions, row by row, or of a dtype without JSON.
    """
    if by_row:
        _check_rows(outputs)
    values = {key: _plain(key, value) for key, value in outputs.items()}
    if len(values) == 1:
        answer = next(iter(values.values()))
    elif by_row:
        answer = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        answer = values
    return to_bytes({"predictions" if by_row else "outputs": answer})


def shortest_decimals(array: np.ndarray) -> np.ndarray:
    """float32 → the float64 that is written with the digits TensorFlow Serving writes: 0.2 stays 0.2.

    Args:
      array: float32, any shape.

    Returns:
      float64 of the same shape: 6 significant digits where these give the float32 back, else 9.
    """
    with np.errstate(invalid="ignore"):
        values = array.astype(np.float64)
    sizes = np.abs(values)
    usual = (sizes > 1e-13) & (sizes < 1e22)
    exponents = np.floor(np.log10(sizes, where=usual, out=np.zeros_like(sizes))).astype(np.int64)
    six, nine = (_rounded(values, usual, digits - 1 - exponents) for digits in (6, 9))
    decimals = np.where(six.astype(np.float32) == array, six, nine).reshape(array.shape)
    unusual = ~usual
    decimals[unusual] = [float(str(value)) for value in array[unusual]]
    return decimals


def _check_rows(outputs: Arrays) -> None:
    rows = -1
    for key, value in outputs.items():
        if not value.ndim:
            raise invalid(f"Tensor name: {key} has no shape information; ask with 'inputs', column by column")
        if rows not in (-1, len(value)):
            raise invalid(f"Tensor name: {key} has inconsistent batch size: {len(value)} expecting: {rows}")
        rows = len(value)


def _plain(key: str, array: np.ndarray) -> Any:
    """Python values; bytes as base64 where the output's name ends in ``_bytes``, as TensorFlow Serving has it."""
    if array.dtype not in _WRITABLE:
        raise invalid(f"Failed to write JSON value for tensor type: {array.dtype.name}; {key} can be had by gRPC")
    if array.dtype == np.float32:
        return shortest_decimals(array).tolist()
    if array.dtype != object:
        return array.tolist()
    if key.endswith("_bytes"):
        return _map(array.tolist(), lambda item: {"b64": base64.b64encode(item).decode()})
    return _map(array.tolist(), lambda item: item.decode("utf-8", "surrogateescape"))


def _rounded(values: np.ndarray, usual: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rounds to places behind the point, negative ones before it; an integer by a power of ten is rounded correctly."""
    powers = _POWERS[np.minimum(np.abs(places), len(_POWERS) - 1)]
    up = places >= 0
    scaled = np.rint(np.where(up, values * powers, values / powers), where=usual, out=np.zeros_like(values))
    return np.where(up, scaled / powers, scaled * powers)


def _map(value: Any, function: Callable[[bytes], Any]) -> Any:
    return [_map(item, function) for item in value] if isinstance(value, list) else function(value)
