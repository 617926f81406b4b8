"""The bound of eq. 5 as a sum of weighted terms."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class BoundTerms(NamedTuple):
    """The negated terms of eq. 5, one number per image.

    Attributes:
      classification: ``[B]`` float32, −log p(y | f_1 … f_T), nats.
      reconstruction: ``[B]`` float32, −Σ_t log p(x̂ | z_t, h_{t-1}), nats.
      kl: ``[B, T]`` float32, KL( q(z_t | x̂, h_{t-1}) ‖ p(z_t | h_{t-1}) ), nats.
    """

    classification: tf.Tensor
    reconstruction: tf.Tensor
    kl: tf.Tensor

    def total(
        self, classification_weight: float = 1.0, reconstruction_weight: float = 1.0, kl_weight: float = 1.0
    ) -> tf.Tensor:
        """The loss of each image. With all weights 1 it is eq. 5 negated: an upper bound of −log p(y | x, x̂).

        Returns:
          ``[B]`` float32.
        """
        return (
            classification_weight * self.classification
            + reconstruction_weight * self.reconstruction
            + kl_weight * tf.reduce_sum(self.kl, axis=-1)
        )


def bound_terms(labels: tf.Tensor, logits: tf.Tensor, log_likelihood: tf.Tensor | None, kl: tf.Tensor) -> BoundTerms:
    """The terms of eq. 5.

    Args:
      labels: ``[B]`` integer, class indices.
      logits: ``[B, K]`` float32.
      log_likelihood: ``[B, T]`` float32, log p(x̂ | z_t, h_{t-1}); None where the proxy is not reconstructed.
      kl: ``[B, T]`` float32.

    Returns:
      The negated terms.
    """
    classification = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.reshape(tf.cast(labels, tf.int32), [-1]), logits=logits
    )
    reconstruction = tf.zeros_like(classification)
    if log_likelihood is not None:
        reconstruction = -tf.reduce_sum(log_likelihood, axis=-1)
    return BoundTerms(classification, reconstruction, kl)
