"""The gradient of the choice of cells against the exact one, by enumeration of every sequence of looks."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfvs.losses import attention_weights, place_surrogate
from tfvs.losses.place_gradient import SHARPNESS
from tfvs.ops import categorical

RNG = np.random.default_rng(21)
NUMBER, STEPS, LABEL, KL_WEIGHT = 4, 2, 1, 0.3
LOG_Q, LOG_P = RNG.normal(size=(2, NUMBER)).astype("float32")
EVIDENCE = RNG.normal(size=(NUMBER, 3)).astype("float32") * 1.5  # of the crop at each cell
SEQUENCES = np.array(list(itertools.permutations(range(NUMBER), STEPS)), np.int32)  # without replacement


def cross_entropy(logits: tf.Tensor) -> tf.Tensor:
    labels = tf.fill(tf.shape(logits)[:-1], LABEL)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def looks(log_q: tf.Tensor, cells: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """log q(k_t | k_<t) and the KL of each step, for every sequence."""
    free = np.ones([len(cells), STEPS, NUMBER], np.float32)
    for row, chosen in enumerate(cells):
        free[row, 1, chosen[0]] = 0.0
    shared = tf.tile(log_q[tf.newaxis], [len(cells), 1])
    return categorical.log_prob_and_kl(shared, tf.tile(LOG_P[None], [len(cells), 1]), cells, tf.constant(free))


def costs(cells: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss of the class with all looks ``[R]``, and without each ``[R, T]``."""
    evidence = tf.gather(EVIDENCE, cells)  # [R, T, K]
    logits = tf.reduce_sum(evidence, 1)
    return cross_entropy(logits), cross_entropy(logits[:, tf.newaxis] - evidence)


def exact_gradient() -> np.ndarray:
    log_q = tf.constant(LOG_Q)
    with tf.GradientTape() as tape:
        tape.watch(log_q)
        log_prob, kl = looks(log_q, SEQUENCES)
        whole = costs(SEQUENCES)[0] + KL_WEIGHT * tf.reduce_sum(kl, 1)
        expectation = tf.reduce_sum(tf.exp(tf.reduce_sum(log_prob, 1)) * whole)
    return tape.gradient(expectation, log_q).numpy()


def probabilities() -> np.ndarray:
    return np.exp(np.sum(looks(tf.constant(LOG_Q), SEQUENCES)[0], 1))


def estimates(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """What a sequence would give as a gradient, and its probability. REINFORCE has another image's loss as baseline."""
    log_q = tf.constant(LOG_Q)
    pairs = np.array(list(itertools.product(range(len(SEQUENCES)), repeat=2)))
    probability = probabilities()
    with tf.GradientTape() as tape:
        tape.watch(log_q)
        log_prob, kl = looks(log_q, SEQUENCES)
        whole, without = costs(SEQUENCES)
        if kind == "attention":
            evidence = tf.gather(EVIDENCE, SEQUENCES) * attention_weights(log_prob)[..., tf.newaxis]
            whole = cross_entropy(tf.reduce_sum(evidence, 1))
        if kind == "reinforce":
            probability = probability[pairs[:, 0]] * probability[pairs[:, 1]]
            batches = [
                place_surrogate(kind, tf.gather(whole, pair), None, KL_WEIGHT * tf.gather(kl, pair), both)[0]
                for pair in pairs
                for both in [tf.gather(log_prob, pair)]
            ]
            loss = tf.stack(batches) + tf.gather(KL_WEIGHT * tf.reduce_sum(kl, 1), pairs[:, 0])
        else:
            surrogate = place_surrogate(kind, tf.stop_gradient(whole), without, KL_WEIGHT * kl, log_prob)
            loss = whole + surrogate + KL_WEIGHT * tf.reduce_sum(kl, 1)
    return tape.jacobian(loss, log_q).numpy(), probability


def moments(kind: str) -> tuple[np.ndarray, float]:
    """Mean of the gradient's estimate and the trace of its covariance."""
    gradient, probability = estimates(kind)
    mean = np.sum(gradient * probability[:, None], 0)
    return mean, float(np.sum(probability * np.sum((gradient - mean) ** 2, 1)))


def test_reinforce_has_no_bias():
    np.testing.assert_allclose(moments("reinforce")[0], exact_gradient(), atol=1e-5)


def test_the_bias_of_the_counterfactual_baseline_is_small_and_its_variance_too():
    exact = exact_gradient()
    bias, variance = {}, {}
    for kind in ("counterfactual", "reinforce", "attention"):
        mean, variance[kind] = moments(kind)
        bias[kind] = np.linalg.norm(mean - exact) / np.linalg.norm(exact)
    assert bias["counterfactual"] < 0.25
    assert bias["counterfactual"] < bias["attention"]
    assert variance["counterfactual"] < 0.6 * variance["reinforce"]


def test_independent_looks_have_no_bias_at_all():
    """With replacement the baseline of a look knows nothing of its cell."""
    cells = np.array(list(itertools.product(range(NUMBER), repeat=STEPS)), np.int32)
    log_q = tf.constant(LOG_Q)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(log_q)
        log_prob = tf.gather(tf.nn.log_softmax(log_q), cells)  # [R, T]
        probability = tf.exp(tf.reduce_sum(log_prob, 1))
        whole, without = costs(cells)
        exact = tf.reduce_sum(probability * whole)
        surrogate = place_surrogate("counterfactual", whole, without, tf.zeros_like(without), log_prob)
        estimated = tf.reduce_sum(tf.stop_gradient(probability) * surrogate)
    np.testing.assert_allclose(tape.gradient(estimated, log_q), tape.gradient(exact, log_q), atol=1e-5)


def test_cells_learn_the_odds_that_they_show_a_thing():
    """By steps along the gradient, from looks that are drawn: the logits end where the odds say, which are known."""
    chances = np.array([0.05, 0.3, 0.6, 0.9], np.float32)
    log_q = tf.Variable(LOG_Q)
    for _ in range(1000):
        cells = np.stack([RNG.permutation(NUMBER)[:STEPS] for _ in range(32)]).astype(np.int32)
        shows = (RNG.random(cells.shape) < chances[cells]).astype(np.float32)
        with tf.GradientTape() as tape:
            logit, nothing = tf.gather(log_q, cells), tf.zeros(cells.shape)
            surrogate = place_surrogate("things", tf.zeros(32), None, nothing, nothing, logit, tf.constant(shows))
            loss = tf.reduce_mean(surrogate)
        log_q.assign_sub(0.3 * tf.convert_to_tensor(tape.gradient(loss, log_q)))
    np.testing.assert_allclose(tf.sigmoid(log_q / SHARPNESS), chances, atol=0.06)


@pytest.mark.parametrize("kind", ["counterfactual", "reinforce", "attention", "things"])
def test_its_value_is_zero(kind):
    whole, without = costs(SEQUENCES)
    log_prob, kl = looks(tf.constant(LOG_Q), SEQUENCES)
    surrogate = place_surrogate(kind, whole, without, kl, log_prob, log_prob, tf.ones_like(log_prob))
    np.testing.assert_array_equal(surrogate, np.zeros(len(SEQUENCES)))


def test_an_image_alone_has_no_baseline_and_no_nan():
    log_prob = tf.constant([[-1.0, -2.0]])
    with tf.GradientTape() as tape:
        tape.watch(log_prob)
        value = place_surrogate("reinforce", tf.constant([3.0]), None, tf.constant([[0.0, 0.0]]), log_prob)
    np.testing.assert_allclose(tape.gradient(value, log_prob), [[3.0, 3.0]])
