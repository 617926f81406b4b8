"""CRC-32 of a string in the graph, with stock operations: none computes it, but decompressing gzip checks it."""

from __future__ import annotations

import tensorflow as tf

from tfvs.ops.tracing import as_written

# Longest block that gzip stores as it is.
BLOCK_BYTES = 65535
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@as_written
def require_crc32(data: tf.Tensor, crc32: tf.Tensor) -> tf.Tensor:
    """The data itself, or a DataLossError where its CRC-32 is another.

    The data is wrapped as a gzip file of stored blocks that names the checksum, and unwrapped again.

    Args:
      data: ``[]`` string.
      crc32: ``[]`` int64, as ``zlib.crc32`` gives it.

    Returns:
      ``[]`` string.

    >>> require_crc32(tf.constant(b"123456789"), tf.constant(0xCBF43926, tf.int64)).numpy()
    b'123456789'
    """
    length = tf.strings.length(data)
    starts = tf.range(0, tf.maximum(length, 1), BLOCK_BYTES)
    sizes = tf.minimum(length - starts, BLOCK_BYTES)
    # One by one: substr of many places at once would copy all of the data for each.
    blocks = tf.map_fn(
        lambda block: tf.strings.substr(data, block[0], block[1]), (starts, sizes), fn_output_signature=tf.string
    )
    last = tf.cast(starts + sizes == length, tf.int32)
    heads = tf.strings.join([_little_endian(last, 1), _little_endian(sizes, 2), _little_endian(BLOCK_BYTES - sizes, 2)])
    stored = tf.strings.reduce_join(tf.strings.join([heads, blocks]))
    trailer = tf.strings.join([_little_endian(crc32, 4), _little_endian(length, 4)])
    return tf.io.decode_compressed(tf.strings.join([GZIP_HEADER, stored, trailer]), "GZIP")


def _little_endian(value: tf.Tensor, count: int) -> tf.Tensor:
    """Numbers as strings of ``count`` bytes, the lowest first."""
    letters = tf.constant([bytes([byte]) for byte in range(256)])
    return tf.strings.join([tf.gather(letters, value // 256**place % 256) for place in range(count)])
