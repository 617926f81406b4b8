"""Adam whose gradient is clipped once for the whole batch, however many devices share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfvs")
class ClippedAdam(keras.optimizers.Adam):
    """Adam with the gradient clipped to a global norm after it is summed over the devices.

    Keras' own ``global_clipnorm`` clips each device's share before the sum, so that two devices train otherwise than
    one does.

    Args:
      learning_rate: A number or a schedule.
      clip_norm: Largest norm of all gradients together.
      **options: Of :class:`keras.optimizers.Adam`.
    """

    def __init__(self, learning_rate: Any = 1e-3, *, clip_norm: float = 1.0, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.clip_norm = clip_norm

    def apply(self, grads: Sequence[tf.Tensor | None], trainable_variables: Any = None) -> None:
        """Keras calls it in every replica, with the replica's share of the gradient.

        Args:
          grads: One a variable.
          trainable_variables: The variables.
        """
        present = [grad for grad in grads if grad is not None]
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context is not None else 1
        if context is not None and replicas > 1:
            present = context.all_reduce(tf.distribute.ReduceOp.SUM, present)
        clipped, _ = tf.clip_by_global_norm(present, self.clip_norm)
        shares = iter([grad / replicas for grad in clipped])  # Keras sums them again
        super().apply([None if grad is None else next(shares) for grad in grads], trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """With the norm."""
        return {**super().get_config(), "clip_norm": self.clip_norm}
