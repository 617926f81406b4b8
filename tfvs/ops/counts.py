"""Distributions over counts, and those of their sums.

A count is below K; ``[…, K]`` holds the logarithms of the probabilities of 0 … K−1. Sums of K and more are left out, so
that the logarithms of a sum are not normalised: their softmax is the distribution given that the sum is below K.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

NEVER = -60.0  # nats: as good as probability zero, with a finite gradient


def sum_of_two(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """The convolution of two distributions.

    Args:
      first: ``[…, K]`` float32 logarithms of probabilities, nats.
      second: Likewise.

    Returns:
      ``[…, K]`` float32: log Σ_n exp(first[c − n] + second[n]).
    """
    size = first.shape[-1]
    padding = [[0, 0]] * (first.shape.rank - 1) + [[size - 1, 0]]
    padded = tf.pad(first, padding, constant_values=NEVER)  # at K − 1 + c stands c
    shifted = [padded[..., size - 1 - n : 2 * size - 1 - n] + second[..., n : n + 1] for n in range(size)]
    return tf.reduce_logsumexp(tf.stack(shifted, axis=-1), axis=-1)


class Sums(NamedTuple):
    """Sums of T independent counts.

    Attributes:
      total: ``[B, K]`` float32, of all counts.
      without_each: ``[B, T, K]`` float32, of all counts but one, for each of them.
    """

    total: tf.Tensor
    without_each: tf.Tensor


def sums(counts: tf.Tensor) -> Sums:
    """The distributions of the sum of T independent counts, and of their sum without each.

    The sums of ever larger halves serve for both, so that all of it costs about three times as much as the total alone.

    Args:
      counts: ``[B, T, K]`` float32 logarithms of probabilities, nats; T is known when the function is traced.

    Returns:
      The sums.
    """
    halves = _sums_of_halves(counts)
    others = _none(halves[-1])  # of all nodes outside the tree's top
    for level in reversed(halves[:-1]):
        pairs = tf.reshape(level, [-1, level.shape[1] // 2, 2, level.shape[2]])
        both = tf.repeat(others[:, :, tf.newaxis], 2, axis=2)
        others = tf.reshape(sum_of_two(both, tf.reverse(pairs, [2])), [-1, level.shape[1], level.shape[2]])
    return Sums(halves[-1][:, 0], others[:, : counts.shape[1]])


def _none(like: tf.Tensor) -> tf.Tensor:
    """The distribution of a count that is surely 0, in the shape of ``like``."""
    return tf.zeros_like(like) + tf.constant([0.0] + [NEVER] * (like.shape[-1] - 1))


def _sums_of_halves(counts: tf.Tensor) -> list[tf.Tensor]:
    """A binary tree of sums: ``[B, P, K]`` with P the next power of 2 from T on, ``[B, P/2, K]``, … ``[B, 1, K]``."""
    number = counts.shape[1]
    missing = 2 ** (number - 1).bit_length() - number
    level = tf.concat([counts, _none(tf.repeat(counts[:, :1], missing, axis=1))], axis=1)
    levels = [level]
    while level.shape[1] > 1:
        level = sum_of_two(level[:, 0::2], level[:, 1::2])
        levels.append(level)
    return levels
