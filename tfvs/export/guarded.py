"""Decoding in the graph where every element fails alone.

A decoder that meets a damaged image fails its whole op, and with it the batch. ``tf.data`` can drop the elements whose
map fails; each carries its index, so those that are missing are known. Stock operations only.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfvs.ops.tracing import as_written

Tensors = tuple[tf.Tensor, ...]

OTHER, JPEG, PNG = range(3)
JPEG_SIGNATURE = (0xFF, 0xD8, 0xFF)
PNG_SIGNATURE = (0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A)


@as_written
def guarded_map(function: Callable[..., Tensors], elements: Tensors, placeholder: Tensors) -> tuple[Tensors, tf.Tensor]:
    """Applies a function to each element of a batch; elements for which an op fails get a placeholder.

    Args:
      function: Function of one element of each of ``elements``; returns tensors of fixed shapes.
      elements: Tensors ``[B, ...]``.
      placeholder: What a failed element gives, in the shapes and dtypes that ``function`` returns.

    Returns:
      The results, ``[B, ...]`` each, and ``ok [B]`` bool.
    """
    batch = tf.shape(elements[0], out_type=tf.int64)[0]
    dataset = tf.data.Dataset.from_tensor_slices((tf.range(batch), *elements))
    dataset = dataset.map(
        lambda index, *element: (index, *function(*element)), num_parallel_calls=tf.data.AUTOTUNE
    ).ignore_errors()
    # A last element that is always there: a batch of nothing would be an error.
    dataset = dataset.concatenate(tf.data.Dataset.from_tensors((batch, *placeholder))).batch(batch + 1)
    indices, *values = dataset.get_single_element()
    last = tf.shape(indices, out_type=tf.int64)[0] - 1
    positions = tf.tensor_scatter_nd_update(tf.fill([batch + 1], last), indices[:, tf.newaxis], tf.range(last + 1))[
        :batch
    ]
    return tuple(tf.gather(value, positions) for value in values), positions < last


def image_header(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Format and size of one image, without decoding it. Fails for a damaged header.

    Args:
      encoded: Scalar string.

    Returns:
      Format (``JPEG``, ``PNG`` or ``OTHER``) int32; ``size [2]`` int64, height and width; whether samples have 16 bits.
    """
    head = tf.io.decode_raw(tf.strings.substr(encoded, 0, 8), tf.uint8)
    is_jpeg = tf.reduce_all(tf.equal(head[:3], tf.constant(JPEG_SIGNATURE, tf.uint8)))
    is_png = tf.reduce_all(tf.equal(head, tf.constant(PNG_SIGNATURE, tf.uint8)))

    def jpeg() -> Tensors:
        size = tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64)
        return tf.constant(JPEG), size, tf.constant(False)

    def png() -> Tensors:
        width_height = tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False)
        depth = tf.io.decode_raw(tf.strings.substr(encoded, 24, 1), tf.uint8)[0]
        return tf.constant(PNG), tf.cast(width_height[::-1], tf.int64), tf.equal(depth, 16)

    def other() -> Tensors:
        return tf.constant(OTHER), tf.zeros([2], tf.int64), tf.constant(False)

    kind, size, deep = tf.case([(is_jpeg, jpeg), (is_png, png)], default=other)
    return kind, tf.ensure_shape(size, [2]), deep


def decode_png_of_size(encoded: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """A PNG of a known size, ``[H, W, C]`` uint8. Fails, before a pixel is decoded, where its header says another.

    Args:
      encoded: Scalar string.
      shape: H, W, C.
    """
    kind, size, _ = image_header(encoded)
    checks = [tf.debugging.assert_equal(kind, PNG), tf.debugging.assert_equal(size, tf.constant(shape[:2], tf.int64))]
    with tf.control_dependencies(checks):
        return tf.ensure_shape(tf.io.decode_png(tf.identity(encoded), shape[2]), shape)
