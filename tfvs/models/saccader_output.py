"""Outputs of the variational saccader."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class SaccadeTrajectory(NamedTuple):
    """Where to look: all of it follows from the proxy alone, before a single full-resolution pixel is read.

    Attributes:
      boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].
      kl: ``[B, T]`` float32 nats.
      log_likelihood: ``[B, T]`` float32, log p(x̂ | z_t, h_{t-1}), nats; None without a decoder.
      reconstruction: ``[B, T, h, w, c]`` float32 in [0, 1]; None without a decoder.
      posterior_loc: ``[B, T, Z]`` float32.
      posterior_scale: ``[B, T, Z]`` float32.
      prior_loc: ``[B, T, Z]`` float32.
      prior_scale: ``[B, T, Z]`` float32.
      hidden_states: ``[B, T, D]`` h_{t-1}, the state each location came from: what the classifier may read.
      posterior_map: As in :class:`SaccaderOutput`.
      place_log_prob: As in :class:`SaccaderOutput`.
      place_logit: As in :class:`SaccaderOutput`.
    """

    boxes: tf.Tensor
    kl: tf.Tensor
    log_likelihood: tf.Tensor | None
    reconstruction: tf.Tensor | None
    posterior_loc: tf.Tensor
    posterior_scale: tf.Tensor
    prior_loc: tf.Tensor
    prior_scale: tf.Tensor
    hidden_states: tf.Tensor
    posterior_map: tf.Tensor | None = None
    place_log_prob: tf.Tensor | None = None
    place_logit: tf.Tensor | None = None


class SaccaderOutput(NamedTuple):
    """What a call or ``predict`` gives. With several trajectories all but logits and entropy are the first one's.

    Attributes:
      logits: ``[B, K]`` float32; with several trajectories the logarithm of the mean probability.
      boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].
      crops: ``[B, T, S, S, C]`` float32.
      kl: ``[B, T]`` float32 nats.
      log_likelihood: ``[B, T]`` float32, log p(x̂ | z_t, h_{t-1}), nats; None without a decoder.
      reconstruction: ``[B, T, h, w, c]`` float32 in [0, 1]; None without a decoder.
      posterior_loc: ``[B, T, Z]`` float32.
      posterior_scale: ``[B, T, Z]`` float32.
      prior_loc: ``[B, T, Z]`` float32.
      prior_scale: ``[B, T, Z]`` float32.
      entropy: ``[B]`` float32 nats, of the class probabilities.
      valid: ``[B]`` bool, False where the image could not be read: its weight in the loss is 0.
      evidence: ``[B, T, K]`` float32, nats for each class that each look gives, less those of a blank crop; with
        ``"evidence"`` pooling their sum over T is ``logits`` (of one trajectory), with ``"seen"`` they are log odds
        against nothing seen, with ``"count"`` what the logits lose without the look. None with ``"mean"`` pooling.
      posterior_map: ``[B, rows, columns]`` float32, probability of each cell for the first look, q(k_1 | x̂); None with
        the Gaussian posterior.
      place_log_prob: ``[B, T]`` float32, log q(k_t | x̂, h_{t-1}, k_<t) of the cells looked at; None with the Gaussian
        posterior.
      logits_without: ``[B, T, K]`` float32, the logits without each look; only while a categorical posterior trains
        with the counterfactual gradient, else None.
      place_logit: ``[B, T]`` float32, log q of these cells before it is normalised; None with the Gaussian posterior.
      shows: ``[B, T]`` float32, the probability that each look shows a thing; None but with ``"count"`` pooling.
    """

    logits: tf.Tensor
    boxes: tf.Tensor
    crops: tf.Tensor
    kl: tf.Tensor
    log_likelihood: tf.Tensor | None
    reconstruction: tf.Tensor | None
    posterior_loc: tf.Tensor
    posterior_scale: tf.Tensor
    prior_loc: tf.Tensor
    prior_scale: tf.Tensor
    entropy: tf.Tensor
    valid: tf.Tensor
    evidence: tf.Tensor | None = None
    posterior_map: tf.Tensor | None = None
    place_log_prob: tf.Tensor | None = None
    logits_without: tf.Tensor | None = None
    place_logit: tf.Tensor | None = None
    shows: tf.Tensor | None = None
