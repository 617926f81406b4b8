"""TensorProtos are those that TensorFlow's own parser reads, and those that its Python writes are read."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from tfvs.server.tensors import fill_proto, shape_of, to_array

DTYPES = (
    *(np.float16, np.float32, np.float64, np.bool_, np.complex64, np.complex128, tf.bfloat16.as_numpy_dtype),
    *(np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64),
)
SHAPES = ([], [1], [1, 1], [3], [2, 3], [0, 4])
STRINGS = (b"a", [b"a"], [b"\xff", b"", b"a\0\0"], [[b"x", b"y"]], b"zeros at the end\0\0")


def arrays() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    numbers = [np.asarray(100 * random.normal(size=shape)) for shape in SHAPES]
    return [
        *(
            np.abs(array).astype(dtype) if np.dtype(dtype).kind == "u" else array.astype(dtype)
            for array in numbers
            for dtype in DTYPES
        ),
        *(np.array(values, object) for values in STRINGS),
    ]


@pytest.mark.parametrize("as_content", [False, True])
def test_what_is_written_is_read_by_tensorflow(as_content):
    for array in arrays():
        proto = tensor_pb2.TensorProto()
        fill_proto(proto, array, as_content=as_content)
        dtype = tf.dtypes.as_dtype(proto.dtype)
        by_kernel = tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy()
        for read in (by_kernel, tf.make_ndarray(proto), to_array(proto, shape_of(proto))):
            assert np.shape(read) == array.shape
            np.testing.assert_array_equal(np.asarray(read, array.dtype), array)
        assert bool(proto.tensor_content) == (as_content and array.dtype != object and array.size > 0)


def test_what_tensorflow_writes_is_read():
    for array in arrays():
        proto = tf.make_tensor_proto(array, dtype=tf.string if array.dtype == object else None)
        read = to_array(proto, shape_of(proto))
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(("dtype", "value"), [(tf.uint8, 256), (tf.uint8, -1), (tf.int8, 128), (tf.int16, 32768)])
def test_a_value_that_does_not_fit_is_refused(dtype, value):
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, int_val=[1, value])
    proto.tensor_shape.dim.add(size=2)
    with pytest.raises(ValueError, match=dtype.name):
        to_array(proto, [2])
