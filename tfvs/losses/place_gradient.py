"""The gradient of the loss with respect to the choice of cells: score functions and their weights."""

from __future__ import annotations

import tensorflow as tf

SHARPNESS = 3.0  # power of the odds that a cell shows a thing with which it is looked at
PLACE_GRADIENTS = ("counterfactual", "reinforce", "attention", "things")


def place_surrogate(
    kind: str,
    classification: tf.Tensor,
    classification_without: tf.Tensor | None,
    step_costs: tf.Tensor,
    log_prob: tf.Tensor,
    logit: tf.Tensor | None = None,
    shows: tf.Tensor | None = None,
) -> tf.Tensor:
    """Zero, with the gradient that the choice of cells k_1 … k_T adds to the loss.

    ``Σ_t stop(c_t) ∇ log q(k_t | k_<t)`` estimates the gradient of an expectation over k. What follows from k_t by way
    of the KL and the reconstruction counts as cost to go, against the cost of the step before. For the classification:

    * ``"counterfactual"``: ``c_t = ℓ − ℓ(without look t)``, what each look contributed. Its baseline depends on the
      later looks, whose free cells depend on k_t: the bias that comes of it is zero where looks are independent.
    * ``"reinforce"``: ``c_t = ℓ − mean ℓ of the other images``; no bias, and much more variance.
    * ``"attention"``: none here. The weights of attention sampling (Katharopoulos & Fleuret 2019) multiply what each
      look contributes, see :func:`attention_weights`: the first order of the counterfactual one.
    * ``"things"``: where looks count things and no cell is looked at twice, the order of the looks does not matter, but
      the counterfactual gradient makes the second best cells less likely where the best are still free. Instead the
      cross entropy teaches each cell looked at the odds that its look shows a thing, and q(k) follows their third
      power, so that looks that are drawn see nearly as much as the likeliest.

    Args:
      kind: One of ``PLACE_GRADIENTS``.
      classification: ``[B]`` float32, the weighted loss of the class ℓ, nats.
      classification_without: ``[B, T]`` float32, the same without each look; read by ``"counterfactual"`` alone.
      step_costs: ``[B, T]`` float32, the other weighted terms of each step.
      log_prob: ``[B, T]`` float32, log q(k_t | k_<t).
      logit: ``[B, T]`` float32, log q(k_t) before it is normalised; read by ``"things"`` alone.
      shows: ``[B, T]`` float32, the probability that the look shows a thing; likewise.

    Returns:
      ``[B]`` float32 zeros, differentiable.
    """
    weights = costs_to_go(step_costs)
    if kind == "counterfactual" and classification_without is not None:
        weights += classification[:, tf.newaxis] - classification_without
    elif kind == "reinforce":
        weights += (classification - mean_of_others(classification))[:, tf.newaxis]
    score = tf.reduce_sum(tf.stop_gradient(weights) * log_prob, axis=-1)
    if kind == "things" and logit is not None and shows is not None:
        odds = logit / SHARPNESS
        score += tf.reduce_sum(tf.stop_gradient(tf.sigmoid(odds) - shows) * odds, axis=-1)
    return score - tf.stop_gradient(score)


def costs_to_go(step_costs: tf.Tensor) -> tf.Tensor:
    """The cost of a step and all later ones, less as many times the cost of the step before; ``[B, T]``.

    The step before depends on earlier cells alone, so that it is a baseline without bias. The first step's is the mean
    of the other images.
    """
    steps = tf.cast(tf.range(tf.shape(step_costs)[1], 0, -1), step_costs.dtype)  # T … 1
    to_go = tf.cumsum(step_costs, axis=1, reverse=True)
    before = tf.concat([mean_of_others(step_costs[:, 0])[:, tf.newaxis], step_costs[:, :-1]], axis=1)
    return to_go - steps * before


def mean_of_others(values: tf.Tensor) -> tf.Tensor:
    """For each image the mean of all others in the batch, ``[B]``; 0 for one that is alone."""
    others = tf.cast(tf.size(values) - 1, values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(values) - values, others)


def attention_weights(log_prob: tf.Tensor) -> tf.Tensor:
    """Ones whose gradient is that of log q: what each look contributes is multiplied by them.

    Args:
      log_prob: ``[B, T]`` float32.

    Returns:
      ``[B, T]`` float32.
    """
    return 1.0 + log_prob - tf.stop_gradient(log_prob)
