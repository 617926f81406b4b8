"""Sums of counts, against numpy's convolution and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfvs.ops.counts import sum_of_two, sums

CLASSES = 5


def draw(images: int, looks: int) -> np.ndarray:
    """``[images, looks, CLASSES]`` distributions."""
    return np.random.default_rng(0).dirichlet(np.full(CLASSES, 0.7), (images, looks)).astype(np.float32)


def convolve(distributions: np.ndarray) -> np.ndarray:
    """Of ``[T, K]``, cut to K, in float64."""
    total = np.ones(1)
    for one in distributions.astype(np.float64):
        total = np.convolve(total, one)
    return np.pad(total, (0, CLASSES))[:CLASSES]


@pytest.mark.parametrize("looks", [1, 2, 3, 4, 7])
def test_sums_are_convolutions(looks: int) -> None:
    """With any number of looks, powers of two or not."""
    counts = draw(6, looks)
    found = sums(tf.math.log(counts))
    np.testing.assert_allclose(np.exp(found.total), [convolve(image) for image in counts], rtol=2e-5, atol=1e-7)
    wanted = [[convolve(np.delete(image, t, axis=0)) for t in range(looks)] for image in counts]
    np.testing.assert_allclose(np.exp(found.without_each), wanted, rtol=2e-5, atol=1e-7)


def test_every_outcome_is_counted_once() -> None:
    """The probability of a sum, by enumeration of all outcomes of three looks."""
    (counts,) = draw(1, 3)
    wanted = np.zeros(CLASSES)
    for outcome in itertools.product(range(CLASSES), repeat=3):
        if sum(outcome) < CLASSES:
            wanted[sum(outcome)] += np.prod([counts[t, n] for t, n in enumerate(outcome)])
    np.testing.assert_allclose(np.exp(sums(tf.math.log(counts[None])).total[0]), wanted, rtol=2e-5)


def test_certain_counts_add_up_with_finite_gradients() -> None:
    """Distributions that know their count, where float32 probabilities underflow."""
    sure = tf.math.log_softmax(200.0 * tf.one_hot([[1, 0, 2]], CLASSES))
    with tf.GradientTape() as tape:
        tape.watch(sure)
        total = sums(sure).total
    assert int(tf.argmax(total[0])) == 3
    assert np.isfinite(tape.gradient(total, sure)).all()


def test_two_counts_of_other_shapes() -> None:
    """Leading axes are those of the arguments."""
    first, second = draw(2, 3), draw(2, 3)[::-1].copy()
    found = np.exp(sum_of_two(tf.math.log(first), tf.math.log(second)))
    wanted = [[convolve(np.stack(pair)) for pair in zip(a, b, strict=True)] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-7)
