"""Diagonal Gaussians as (loc, scale) pairs: a positive standard deviation and the KL divergence."""

from __future__ import annotations

import functools
import math
from typing import Any

import tensorflow as tf

MIN_STDDEV = 1e-4


@functools.cache
def distributions() -> Any:
    """``tfp.distributions``, imported on first use: the import takes seconds that ``import tfvs`` need not."""
    import tensorflow_probability as tfp

    return tfp.distributions


def stddev_from_raw(raw: tf.Tensor, initial: float = 1.0) -> tf.Tensor:
    """A standard deviation out of an unconstrained number; never zero, never negative.

    Args:
      raw: ``[...]`` float.
      initial: The value at ``raw = 0``, greater than ``MIN_STDDEV``.

    Returns:
      ``[...]``, at least ``MIN_STDDEV``.
    """
    offset = math.log(math.expm1(initial - MIN_STDDEV))
    return tf.nn.softplus(raw + offset) + MIN_STDDEV


def kl_divergence(
    posterior_loc: tf.Tensor, posterior_scale: tf.Tensor, prior_loc: tf.Tensor, prior_scale: tf.Tensor
) -> tf.Tensor:
    """``KL( N(posterior) ‖ N(prior) )`` of diagonal Gaussians, the last term of eq. 10.

    Args:
      posterior_loc: ``[..., Z]`` float32, as all the others.
      posterior_scale: Standard deviations, not variances nor their logarithms.
      prior_loc: Means of the prior.
      prior_scale: Standard deviations of the prior.

    Returns:
      ``[...]`` nats, summed over ``Z``.
    """
    normal = distributions().Normal
    divergence = normal(posterior_loc, posterior_scale).kl_divergence(normal(prior_loc, prior_scale))
    return tf.reduce_sum(divergence, axis=-1)
