"""TensorProto ↔ NumPy; the common cases without TensorFlow's Python, since a request has a dozen tensors."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

_STRING = tf.string.as_datatype_enum
# NumPy dtype → its number, the field that holds it value by value, and the NumPy dtype of that field's values.
_FIELDS = {
    np.dtype(kind): (tf.dtypes.as_dtype(kind).as_datatype_enum, field, np.dtype(stored))
    for kind, field, stored in (
        (np.float32, "float_val", np.float32),
        (np.float64, "double_val", np.float64),
        (np.int8, "int_val", np.int8),
        (np.uint8, "int_val", np.uint8),
        (np.int16, "int_val", np.int16),
        (np.uint16, "int_val", np.uint16),
        (np.int32, "int_val", np.int32),
        (np.uint32, "uint32_val", np.uint32),
        (np.int64, "int64_val", np.int64),
        (np.uint64, "uint64_val", np.uint64),
        (np.bool_, "bool_val", np.bool_),
        (np.float16, "half_val", np.uint16),
        (tf.bfloat16.as_numpy_dtype, "half_val", np.uint16),
        (np.complex64, "scomplex_val", np.float32),
        (np.complex128, "dcomplex_val", np.float64),
    )
}
_READ = {
    number: (dtype, field)
    for dtype, (number, field, stored) in _FIELDS.items()
    if stored == dtype  # the others are read by TensorFlow's Python
} | {_STRING: (np.dtype(object), "string_val")}
# Types whose field is wider than they are.
_NARROW = {np.dtype(kind) for kind in (np.int8, np.uint8, np.int16, np.uint16)}


def shape_of(proto: tensor_pb2.TensorProto) -> list[int]:
    """The shape the message claims."""
    return [dimension.size for dimension in proto.tensor_shape.dim]


def to_array(proto: tensor_pb2.TensorProto, shape: list[int]) -> np.ndarray:
    """The tensor's values; those that lie packed in the message are not copied and cannot be written to.

    Args:
      proto: The message.
      shape: Its shape, which the caller has checked.

    Raises:
      ValueError: The content does not fill the shape, or a value does not fit the dtype.
      TypeError: No such dtype.
    """
    dtype, field = _READ.get(proto.dtype, (None, ""))
    if dtype is not None:
        content = proto.tensor_content if dtype not in (np.bool_, object) else b""
        if content:
            return np.frombuffer(content, dtype).reshape(shape)
        values = getattr(proto, field)
        if dtype in _NARROW:
            _check_range(values, dtype)
        if len(values) == math.prod(shape):
            return np.fromiter(values, dtype, len(values)).reshape(shape)
    return tf.make_ndarray(proto)


def fill_proto(proto: tensor_pb2.TensorProto, array: np.ndarray, *, as_content: bool = False) -> None:
    """Writes an array into a message.

    Args:
      proto: An empty message.
      array: Any dtype of TensorFlow; object arrays hold bytes.
      as_content: Packs the values into ``tensor_content``, which is faster for large tensors. Else they lie in the
        field of their type (``float_val`` and so on), where clients of TensorFlow Serving expect them.
    """
    number, field, stored = _FIELDS.get(array.dtype, (0, "", array.dtype))
    if array.dtype == object:
        number, field = _STRING, "string_val"
    if not number:
        proto.CopyFrom(tf.make_tensor_proto(array))
        return
    proto.dtype = number
    proto.tensor_shape.SetInParent()  # a scalar has the field too, but empty
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if as_content and array.dtype != object:
        proto.tensor_content = array.tobytes()
    else:
        getattr(proto, field).extend(array.ravel().view(stored).tolist())


def _check_range(values: list[int], dtype: np.dtype) -> None:
    limits = np.iinfo(dtype)
    if values and not limits.min <= min(values) <= max(values) <= limits.max:
        raise ValueError(f"int_val holds values from {min(values)} to {max(values)}, which are no {dtype.name}")
