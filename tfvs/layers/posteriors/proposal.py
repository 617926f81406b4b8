"""What a posterior gives to the recurrent cell: a proposal of z_t."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfvs.config import require


class Proposal(NamedTuple):
    """z_t and what the bound needs to know about it.

    Attributes:
      latent: ``[B, Z]`` float32 z_t: a sample, or the mean.
      posterior_loc: ``[B, Z]`` float32, mean of q's Gaussian.
      posterior_scale: ``[B, Z]`` float32, its standard deviation.
      prior_loc: ``[B, Z]`` float32, mean of p's Gaussian.
      prior_scale: ``[B, Z]`` float32, its standard deviation.
      kl: ``[B]`` float32 nats, KL( q(z_t | ·) ‖ p(z_t | ·) ), all of it.
    """

    latent: tf.Tensor
    posterior_loc: tf.Tensor
    posterior_scale: tf.Tensor
    prior_loc: tf.Tensor
    prior_scale: tf.Tensor
    kl: tf.Tensor


class PlaceProposal(NamedTuple):
    """A :class:`Proposal` that chose a cell first.

    Attributes:
      latent: As in :class:`Proposal`, like the five that follow.
      posterior_loc: Mean of the Gaussian in the cell.
      posterior_scale: Standard deviation of the Gaussian in the cell.
      prior_loc: Mean of the Gaussian in the cell.
      prior_scale: Standard deviation of the Gaussian in the cell.
      kl: ``[B]`` float32 nats, of cell and Gaussian together.
      place_log_prob: ``[B]`` float32, log q(k_t | k_<t) of the cell.
      place_logits: ``[B, rows, columns]`` float32 of q(k_t), not normalised.
      place_logit: ``[B]`` float32, of the cell.
    """

    latent: tf.Tensor
    posterior_loc: tf.Tensor
    posterior_scale: tf.Tensor
    prior_loc: tf.Tensor
    prior_scale: tf.Tensor
    kl: tf.Tensor
    place_log_prob: tf.Tensor
    place_logits: tf.Tensor
    place_logit: tf.Tensor


def check_stddev(stddev: float | None) -> None:
    """Checks a fixed standard deviation of a posterior.

    Args:
      stddev: None where it is learned.

    Raises:
      ConfigError: It is not positive.
    """
    require(
        stddev is None or stddev > 0.0,
        "The posterior's standard deviation cannot be used",
        expected="None (learned) or a number above 0",
        received=stddev,
    )
