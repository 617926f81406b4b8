"""The variational recurrent cell: what a posterior proposes, and the recurrence of one step."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.posteriors import CategoricalPosterior, GaussianPosterior, PlaceProposal, Proposal
from tfvs.layers.shapes import known

STATES = ("gru", "lstm")


class VRNNStep(NamedTuple):
    """What one step of the cell gives.

    Attributes:
      proposal: z_t, with its posterior and prior.
      latent_features: ``[B, F]`` φ_z(z_t).
      states: State after the step: ``[h_t]`` (GRU) or ``[h_t, c_t]`` (LSTM), each ``[B, state_size]``.
      looking: What the next step gets.
    """

    proposal: Proposal | PlaceProposal
    latent_features: tf.Tensor
    states: list[tf.Tensor]
    looking: Any


@keras.saving.register_keras_serializable("tfvs")
class VRNNCell(keras.layers.Layer):
    """One step of a variational RNN (Chung et al. 2015; eq. 10).

    A posterior, with its prior, proposes z_t from the proxy and h_{t-1}; recurrence
    ``h_t = RNN([φ_x(x̂), φ_z(z_t)], h_{t-1})``.

    Args:
      posterior: A :class:`GaussianPosterior` or :class:`CategoricalPosterior`, or what Keras serialized of one.
      state: ``"gru"`` or ``"lstm"``.
      state_size: Width of h_t.
      latent_units: Width of φ_z.
      initial_state_noise: Standard deviation of the noise on h_0 while training.
      seed: Seed of that noise; None draws one.

    Raises:
      ConfigError: An unknown kind of state.
    """

    def __init__(
        self,
        posterior: GaussianPosterior | CategoricalPosterior | dict[str, Any],
        state: str = "gru",
        state_size: int = 256,
        latent_units: int = 64,
        initial_state_noise: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # logits of places stay in float32
        require(state in STATES, "Unknown kind of state", expected=STATES, received=repr(state))
        self.posterior: Any = (
            keras.saving.deserialize_keras_object(posterior) if isinstance(posterior, dict) else posterior
        )
        self.state, self.state_size, self.latent_units = state, state_size, latent_units
        self.initial_state_noise, self.seed = initial_state_noise, seed
        self._noise = keras.random.SeedGenerator(seed)
        policy = self.dtype_policy
        self.latent_hidden = keras.layers.Dense(latent_units, activation="relu", name="latent_hidden", dtype=policy)
        rnn = keras.layers.GRUCell if state == "gru" else keras.layers.LSTMCell
        self.rnn = rnn(state_size, name="rnn", dtype=policy)

    @property
    def latent_size(self) -> int:
        """Z, the width of z_t."""
        return getattr(self.posterior, "latent_size", 3)

    def build(
        self, features_shape: tuple[int | None, ...], feature_map_shape: tuple[int | None, ...] | None = None
    ) -> None:
        """Args: features_shape: ``[B, F]``; feature_map_shape: ``[B, h, w, C]``, where the posterior reads the map."""
        batch, features = features_shape[0], known(features_shape[-1], "the proxy's features")
        if not self.posterior.built:  # Keras has built one that it read from a file
            self.posterior.build(features_shape, feature_map_shape, (batch, self.state_size))
        self.latent_hidden.build((batch, self.latent_size))
        self.rnn.build((batch, features + self.latent_units))
        self.initial_states = [
            self.add_weight(shape=(1, self.state_size), initializer="zeros", name=f"initial_state_{i}")
            for i in range(1 if self.state == "gru" else 2)
        ]

    def get_initial_states(self, batch_size: tf.Tensor | int, training: bool = False) -> list[tf.Tensor]:
        """h_0, learned, with noise while training.

        Args:
          batch_size: B.
          training: Whether to add the noise.

        Returns:
          One tensor (GRU) or two (LSTM), ``[B, state_size]``.
        """
        states = []
        for weight in self.initial_states:
            state = tf.tile(tf.cast(weight, self.compute_dtype), [batch_size, 1])
            if training and self.initial_state_noise:
                noise = keras.random.normal(tf.shape(state), dtype=state.dtype, seed=self._noise)
                state += self.initial_state_noise * noise
            states.append(state)
        return states

    def call(
        self,
        features: tf.Tensor,
        states: list[tf.Tensor],
        feature_map: tf.Tensor | None = None,
        *,
        looking: Any = None,
        step: int = 0,
        training: bool = False,
        sample: bool | None = None,
    ) -> VRNNStep:
        """One step.

        Args:
          features: ``[B, F]`` φ_x(x̂).
          states: As :meth:`get_initial_states` or the last step gave them.
          feature_map: ``[B, h, w, C]`` of the proxy; read only without ``looking``.
          looking: As ``posterior.begin`` or the last step gave it; None begins, with a Gaussian posterior.
          step: t, from 0.
          training: Whether the model trains.
          sample: Whether z_t is drawn from the posterior or its mean is followed; None draws while training.

        Returns:
          The step.
        """
        if looking is None:
            looking = self.posterior.begin(features, feature_map)
        proposal, looking = self.posterior.propose(looking, states[0], step, training if sample is None else sample)
        latent_features, states = self.read(features, proposal.latent, states)
        return VRNNStep(proposal, latent_features, states, looking)

    def read(
        self, features: tf.Tensor, latent: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """φ_z(z_t) and the states after the step, from z_t."""
        latent_features = self.latent_hidden(latent)  # φ_z(z_t)
        _, states = self.rnn(tf.concat([features, latent_features], axis=-1), states)
        return latent_features, list(states)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        names = ("state", "state_size", "latent_units", "initial_state_noise", "seed")
        posterior = keras.saving.serialize_keras_object(self.posterior)
        return {**super().get_config(), "posterior": posterior, **{name: getattr(self, name) for name in names}}
