"""Eq. 5 where the exact log-likelihood can be integrated."""

import numpy as np
import pytest
import tensorflow as tf

from tfvs.losses import BoundTerms, bound_terms, likelihoods
from tfvs.ops import gaussian

RNG = np.random.default_rng(6)


def test_terms_are_negated_and_summed():
    logits = tf.constant(RNG.normal(size=(4, 3)), tf.float32)
    log_likelihood, kl = tf.constant(RNG.normal(size=(2, 4, 2)), tf.float32)
    labels = tf.constant([0, 2, 1, 1])
    terms = bound_terms(labels, logits, log_likelihood, kl)
    expected = -np.take_along_axis(tf.nn.log_softmax(logits).numpy(), labels.numpy()[:, None], 1)[:, 0]
    np.testing.assert_allclose(terms.classification, expected, rtol=1e-5)
    np.testing.assert_allclose(terms.reconstruction, -np.sum(log_likelihood, 1), rtol=1e-5)
    total = terms.total(2.0, 0.5, 3.0)
    np.testing.assert_allclose(total, 2 * expected - 0.5 * np.sum(log_likelihood, 1) + 3 * np.sum(kl, 1), rtol=1e-4)


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic"])
def test_the_bound_is_below_the_exact_log_likelihood(likelihood):
    """One latent in one dimension, one step: log p(y | x̂) of the model, by integration over a fine grid.

    z ~ N(prior); x̂ | z and y | z depend on z through fixed maps. Exactly,
    log p(y, x̂) = log ∫ p(z) p(x̂ | z) p(y | z) dz ≤ log p(y | x̂), since a discrete x̂ has log p(x̂) ≤ 0.
    """
    proxy = np.round(RNG.random((1, 2, 2, 1))).astype("float32")
    per_channel = likelihoods.parameters_per_channel(likelihood)
    decoder = RNG.normal(size=(2, 1, 2, 2, per_channel)).astype("float32")
    classifier = RNG.normal(size=(2, 3)).astype("float32")
    prior = np.float32([0.3]), np.float32([1.2])

    def log_p_proxy(z: np.ndarray) -> np.ndarray:
        raw = decoder[0] * z[:, None, None, None] + decoder[1]
        return likelihoods.log_likelihood(tf.constant(proxy), tf.constant(raw), likelihood).numpy()

    def logits(z: np.ndarray) -> np.ndarray:
        return np.tanh(z[:, None] * classifier[0]) + classifier[1]

    grid = np.linspace(-12.0, 12.0, 20_001, dtype="float32")
    log_prior = -0.5 * ((grid - prior[0]) / prior[1]) ** 2 - np.log(prior[1]) - 0.5 * np.log(2 * np.pi)
    label = 1
    log_p_y = tf.nn.log_softmax(logits(grid)).numpy()[:, label]
    step = np.log(grid[1] - grid[0])

    def integral(log_density: np.ndarray) -> float:
        return float(tf.reduce_logsumexp(tf.constant(log_density, tf.float64)) + step)

    log_joint = integral(log_prior + log_p_proxy(grid) + log_p_y)
    log_conditional = log_joint - integral(log_prior + log_p_proxy(grid))

    best = -np.inf
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(100)  # expectations over N(0, 1), to rounding
    node_weights = node_weights / node_weights.sum()
    for loc in np.linspace(-3, 3, 41, dtype="float32"):
        for scale in (0.05, 0.1, 0.2, 0.4, 0.8, 1.5):
            z = (loc + scale * nodes).astype("float32")
            terms = bound_terms(
                tf.fill([len(z)], label),
                tf.constant(logits(z)),
                tf.constant(log_p_proxy(z))[:, None],
                tf.fill([len(z), 1], gaussian.kl_divergence(np.float32([loc]), np.float32([scale]), *prior)),
            )
            bound = -float(np.sum(terms.total() * node_weights))
            assert bound <= log_joint + 1e-3
            assert bound <= log_conditional + 1e-3
            best = max(best, bound)
    # It is a useful bound too: the best Gaussian of the grid comes near the exact value.
    assert best > log_joint - 0.3


def test_terms_are_a_plain_tuple():
    assert BoundTerms(1, 2, 3)._fields == ("classification", "reconstruction", "kl")
