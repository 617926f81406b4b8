"""TensorProto ↔ NumPy; the common cases without TensorFlow's Python, for a request has a dozen tensors."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

_STRING = tf.string.as_datatype_enum
# NumPy dtype → its number, and the field that holds it value by value.
_FIELDS = {
    np.dtype(kind): (tf.dtypes.as_dtype(kind).as_datatype_enum, field)
    for kind, field in (
        (np.float32, "float_val"),
        (np.float64, "double_val"),
        (np.int32, "int_val"),
        (np.uint8, "int_val"),
        (np.int64, "int64_val"),
        (np.bool_, "bool_val"),
    )
}
_READ = {number: (dtype, field) for dtype, (number, field) in _FIELDS.items()} | {
    _STRING: (np.dtype(object), "string_val")
}
_PACKED = {dtype for dtype in _FIELDS if dtype != np.bool_}


def shape_of(proto: tensor_pb2.TensorProto) -> list[int]:
    """The shape the message claims."""
    return [dimension.size for dimension in proto.tensor_shape.dim]


def to_array(proto: tensor_pb2.TensorProto, shape: list[int]) -> np.ndarray:
    """The tensor's values; those that lie packed in the message are not copied and cannot be written to.

    Args:
      proto: The message.
      shape: Its shape, which the caller has checked.

    Raises:
      ValueError: The content does not fill the shape.
      TypeError: No such dtype.
    """
    dtype, field = _READ.get(proto.dtype, (None, ""))
    if dtype is not None:
        content = proto.tensor_content if dtype in _PACKED else b""
        if content:
            return np.frombuffer(content, dtype).reshape(shape)
        values = getattr(proto, field)
        if len(values) == math.prod(shape):
            return np.fromiter(values, dtype, len(values)).reshape(shape)
    return tf.make_ndarray(proto)


def fill_proto(proto: tensor_pb2.TensorProto, array: np.ndarray) -> None:
    """Writes an array as ``tf.make_tensor_proto`` does, to the byte."""
    number, field = (_STRING, "string_val") if array.dtype == object else _FIELDS.get(array.dtype, (0, ""))
    if not number:
        proto.CopyFrom(tf.make_tensor_proto(array))
        return
    proto.dtype = number
    proto.tensor_shape.SetInParent()  # a scalar's is there, and empty
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype in _PACKED and math.prod(array.shape) > 1:
        proto.tensor_content = array.tobytes()
    else:
        getattr(proto, field).extend(array.ravel().tolist())
