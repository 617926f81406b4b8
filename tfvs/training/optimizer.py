"""Adam whose gradient is clipped once for the whole batch, however many devices share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
      group_rates: Part of a variable's path, such as ``"crop_encoder"`` → what the learning rate is multiplied by
        there; the longest part that occurs counts.
      **options: Options of :class:`keras.optimizers.Adam`.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        *,
        clip_norm: float = 1.0,
        group_rates: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.clip_norm, self.group_rates = clip_norm, dict(group_rates or {})

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: Any) -> None:
        """Keras calls it for every variable.

        Args:
          gradient: Gradient of the variable.
          variable: The variable.
          learning_rate: Learning rate of the step.
        """
        path = self._trainable_variables[self._get_variable_index(variable)].path
        super().update_step(gradient, variable, learning_rate * self.rate_of(path))

    def rate_of(self, path: str) -> float:
        """What the learning rate is multiplied by for a variable of this path."""
        parts = [part for part in self.group_rates if part in path]
        return self.group_rates[max(parts, key=len)] if parts else 1.0

    def apply(self, grads: Sequence[tf.Tensor | None], trainable_variables: Any = None) -> None:
        """Keras calls it in every replica, with the replica's share of the gradient.

        Args:
          grads: One gradient per variable.
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
        """All options, with the norm and the groups."""
        return {**super().get_config(), "clip_norm": self.clip_norm, "group_rates": self.group_rates}
