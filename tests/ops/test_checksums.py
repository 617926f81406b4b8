"""CRC-32 in the graph: that of zlib, whatever the length."""

import zlib

import numpy as np
import pytest
import tensorflow as tf

from tfvs.ops.checksums import BLOCK_BYTES, require_crc32


@pytest.fixture(scope="module")
def checked():
    return tf.function(require_crc32, input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)])


@pytest.mark.parametrize("length", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, 1 << 20])
def test_only_the_right_checksum_is_accepted(checked, length):
    data = np.random.default_rng(length).bytes(length)
    crc32 = zlib.crc32(data)
    assert checked(data, crc32).numpy() == data
    for wrong in (crc32 ^ 1, crc32 ^ 1 << 31):
        with pytest.raises(tf.errors.DataLossError):
            checked(data, wrong)


def test_one_flipped_bit_is_found(checked):
    data = bytearray(np.random.default_rng(1).bytes(100_000))
    crc32 = zlib.crc32(data)
    for place in (0, 50_000, 65_535, 99_999):
        data[place] ^= 16
        with pytest.raises(tf.errors.DataLossError):
            checked(bytes(data), crc32)
        data[place] ^= 16
