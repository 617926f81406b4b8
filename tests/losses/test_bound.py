"""Eq. 5 where the exact log-likelihood can be integrated."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfvs.losses import BoundTerms, bound_terms, likelihoods
from tfvs.ops import categorical, gaussian

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


def test_the_bound_with_places_is_below_the_exact_log_likelihood():
    """Two looks at four cells without replacement, a Gaussian offset in each: log p(y) by enumeration and quadrature.

    ``log p(y) = log Σ_k p(k_1) p(k_2 | k_1) ∫ p(o_1) p(o_2) p(y | k, o) do`` is above
    ``E_q[log p(y | k, o)] − Σ_t KL( q(k_t) ‖ p(k_t) ) − Σ_t KL( q(o_t) ‖ p(o_t) )`` whatever q is.
    """
    number, label = 4, 1
    random = np.random.default_rng(5)
    log_p = random.normal(size=number).astype("float32")
    nats, slope = random.normal(size=(2, number, 3)).astype("float32")
    cells = np.array(list(itertools.permutations(range(number), 2)), np.int32)  # [R, 2]
    free = np.ones([len(cells), 2, number], np.float32)
    free[np.arange(len(cells)), 1, cells[:, 0]] = 0.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()

    def evidence(offset: np.ndarray) -> np.ndarray:  # [cells, nodes] → [cells, nodes, K]
        return nats[:, None] + slope[:, None] * np.tanh(offset)[..., None]

    def log_p_y(offset: np.ndarray) -> np.ndarray:  # of every sequence and pair of nodes: [R, nodes, nodes]
        e = evidence(offset)
        logits = e[cells[:, 0]][:, :, None] + e[cells[:, 1]][:, None]
        return tf.nn.log_softmax(logits).numpy()[..., label]

    def draws(log_q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shared = [tf.tile(values[None], [len(cells), 1]) for values in (log_q, log_p)]
        log_prob, kl = categorical.log_prob_and_kl(*shared, tf.constant(cells), tf.constant(free))
        return np.exp(np.sum(log_prob, 1)), kl.numpy()

    both = weights[:, None] * weights
    prior_offsets = np.tile(nodes[None], [number, 1])  # p(o) = N(0, 1)
    exact = np.log(np.sum(draws(log_p)[0][:, None, None] * both * np.exp(log_p_y(prior_offsets))))
    best = -np.inf
    helpful = nats[:, label] - nats.mean(-1)
    towards = np.sign(slope[:, label] - slope.mean(-1))
    for place, offset, scale in itertools.product(np.linspace(-1.0, 2.5, 8), np.linspace(-0.5, 1.0, 7), (0.3, 0.7, 1)):
        loc = (offset * towards).astype("float32")
        probability, kl = draws((log_p + place * helpful).astype("float32"))
        in_cell = gaussian.kl_divergence(
            loc[:, None], tf.fill([number, 1], np.float32(scale)), tf.zeros([number, 1]), tf.ones([number, 1])
        ).numpy()
        expected = np.sum(both * log_p_y(loc[:, None] + scale * nodes), (1, 2))  # E over the offsets, per sequence
        terms = BoundTerms(tf.constant(-expected, tf.float32), tf.zeros(len(cells)), kl + in_cell[cells])
        bound = -float(np.sum(probability * terms.total().numpy()))
        assert bound <= exact + 1e-4
        best = max(best, bound)
        if place == offset == 0.0 and scale == 1:
            at_prior = bound
    # And a useful one: a posterior that knows the class is nearer to the exact value than the prior is.
    assert exact - best < 0.7 * (exact - at_prior)


def test_terms_are_a_plain_tuple():
    assert BoundTerms(1, 2, 3)._fields == ("classification", "reconstruction", "kl")
