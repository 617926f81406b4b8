"""The variational recurrent cell: prior, posterior and recurrence of one step."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.shapes import known
from tfvs.layers.spatial_attention import SpatialAttention
from tfvs.ops import gaussian

STATES = ("gru", "lstm")
INITIAL_POSTERIOR_STDDEV = 0.1
# Of what a dense layer adds to attention's place. However small a gradient is, Adam moves each weight by its learning
# rate: at full gain the first steps, which know nothing yet, would carry every look away.
OFFSET_GAIN = 0.1


class VRNNStep(NamedTuple):
    """What one step of the cell gives.

    Attributes:
      latent: ``[B, Z]`` z_t: a sample, or the posterior's mean.
      latent_features: ``[B, F]`` φ_z(z_t).
      posterior_loc: ``[B, Z]`` float32, mean of q(z_t | x̂, h_{t-1}).
      posterior_scale: ``[B, Z]`` float32, its standard deviation.
      prior_loc: ``[B, Z]`` float32, mean of p(z_t | h_{t-1}).
      prior_scale: ``[B, Z]`` float32, its standard deviation.
      states: State after the step: ``[h_t]`` (GRU) or ``[h_t, c_t]`` (LSTM), each ``[B, state_size]``.
    """

    latent: tf.Tensor
    latent_features: tf.Tensor
    posterior_loc: tf.Tensor
    posterior_scale: tf.Tensor
    prior_loc: tf.Tensor
    prior_scale: tf.Tensor
    states: list[tf.Tensor]


@keras.saving.register_keras_serializable("tfvs")
class VRNNCell(keras.layers.Layer):
    """One step of a variational RNN (Chung et al. 2015; eq. 10).

    Prior ``N(μ, σ)(h_{t-1})``, posterior ``N(μ, σ)([φ_x(x̂), h_{t-1}])``, recurrence
    ``h_t = RNN([φ_x(x̂), φ_z(z_t)], h_{t-1})``. Both Gaussians are diagonal. The posterior starts near its centre with a
    standard deviation of about 0.1, so that the first saccades stay where gradients reach them.

    Args:
      latent_size: Z, at least 1.
      state: ``"gru"`` or ``"lstm"``.
      state_size: Width of h_t.
      prior_units: Width of the prior's hidden layer.
      posterior_units: Width of the posterior's hidden layer.
      latent_units: Width of φ_z.
      posterior_stddev: A fixed standard deviation; None learns it.
      attends: Whether the posterior's mean of x and y begins at the place that :class:`SpatialAttention` finds on the
        proxy's feature map, and a dense layer adds a tenth of its output; needs ``latent_size`` 3, whose components
        are s, x and y.
      initial_state_noise: Standard deviation of the noise on h_0 while training.
      seed: Of the noise; None draws one.

    Raises:
      ConfigError: An unknown kind of state, or a size or standard deviation that is not positive.
    """

    def __init__(
        self,
        latent_size: int = 3,
        state: str = "gru",
        state_size: int = 256,
        prior_units: int = 128,
        posterior_units: int = 256,
        latent_units: int = 64,
        posterior_stddev: float | None = None,
        attends: bool = False,
        initial_state_noise: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(state in STATES, "Unknown kind of state", expected=STATES, received=repr(state))
        require(latent_size >= 1, "latent_size is too small", expected="at least 1", received=latent_size)
        require(
            posterior_stddev is None or posterior_stddev > 0.0,
            "posterior_stddev cannot be used",
            expected="None (learned) or a number above 0",
            received=posterior_stddev,
        )
        require(
            not attends or latent_size == 3,
            "Attention needs a latent whose components are s, x and y",
            expected="latent_size=3",
            received=latent_size,
        )
        self.latent_size, self.state, self.state_size = latent_size, state, state_size
        self.attends = attends
        self.prior_units, self.posterior_units, self.latent_units = prior_units, posterior_units, latent_units
        self.posterior_stddev, self.initial_state_noise, self.seed = posterior_stddev, initial_state_noise, seed
        self._noise = keras.random.SeedGenerator(seed)

        policy = self.dtype_policy
        dense = keras.layers.Dense
        self.prior_hidden = dense(prior_units, activation="relu", name="prior_hidden", dtype=policy)
        self.prior_head = dense(2 * latent_size, kernel_initializer="zeros", name="prior_head", dtype=policy)
        self.posterior_hidden = dense(posterior_units, activation="relu", name="posterior_hidden", dtype=policy)
        self.posterior_head = dense(
            latent_size if posterior_stddev else 2 * latent_size,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="posterior_head",
            dtype=policy,
        )
        self.latent_hidden = dense(latent_units, activation="relu", name="latent_hidden", dtype=policy)
        self.attention = SpatialAttention(name="attention", dtype=policy) if attends else None
        rnn = keras.layers.GRUCell if state == "gru" else keras.layers.LSTMCell
        self.rnn = rnn(state_size, name="rnn", dtype=policy)

    def build(
        self, features_shape: tuple[int | None, ...], feature_map_shape: tuple[int | None, ...] | None = None
    ) -> None:
        """Args: features_shape: ``[B, F]``; feature_map_shape: ``[B, h, w, C]``, with ``attends``."""
        batch, features = features_shape[0], known(features_shape[-1], "the proxy's features")
        hidden = (batch, self.state_size)
        self.prior_hidden.build(hidden)
        self.prior_head.build((batch, self.prior_units))
        self.posterior_hidden.build((batch, features + self.state_size))
        self.posterior_head.build((batch, self.posterior_units))
        if self.attention is not None:
            if feature_map_shape is None:
                raise ValueError("VRNNCell(attends=True) is built with the shape of the feature map as well.")
            self.attention.build(feature_map_shape, (batch, features + self.state_size))
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
        anchor: tf.Tensor | None = None,
        training: bool = False,
        sample: bool | None = None,
    ) -> VRNNStep:
        """One step.

        Args:
          features: ``[B, F]`` φ_x(x̂).
          states: As :meth:`get_initial_states` or the last step gave them.
          feature_map: ``[B, h, w, C]`` of the proxy; read only with ``attends``.
          anchor: ``[2]`` where attention begins in this step; read only with ``attends``.
          training: Whether the model trains.
          sample: Whether z_t is drawn from the posterior or its mean; None draws while training.

        Returns:
          The step.
        """
        hidden = states[0]
        prior_loc, prior_raw = tf.split(
            tf.cast(self.prior_head(self.prior_hidden(hidden)), tf.float32), 2, axis=-1
        )  # p(z_t | h_{t-1})
        prior_scale = gaussian.stddev_from_raw(prior_raw, 1.0)

        evidence = tf.concat([features, hidden], axis=-1)
        posterior = self.posterior_head(self.posterior_hidden(evidence))
        posterior = tf.cast(posterior, tf.float32)  # q(z_t | x̂, h_{t-1})
        if self.posterior_stddev is None:
            posterior_loc, posterior_raw = tf.split(posterior, 2, axis=-1)
            posterior_scale = gaussian.stddev_from_raw(posterior_raw, INITIAL_POSTERIOR_STDDEV)
        else:
            posterior_loc = posterior
            posterior_scale = tf.fill(tf.shape(posterior_loc), self.posterior_stddev)

        if self.attention is not None:
            place = self.attention(feature_map, evidence, anchor)  # [B, (x, y)]
            posterior_loc = OFFSET_GAIN * posterior_loc + tf.pad(place, [[0, 0], [1, 0]])
        latent = posterior_loc
        if training if sample is None else sample:
            noise = keras.random.normal(tf.shape(posterior_loc), dtype="float32", seed=self._noise)
            latent = posterior_loc + posterior_scale * noise  # reparametrised
        latent_features = self.latent_hidden(latent)  # φ_z(z_t)
        _, states = self.rnn(tf.concat([features, latent_features], axis=-1), states)
        return VRNNStep(latent, latent_features, posterior_loc, posterior_scale, prior_loc, prior_scale, list(states))

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = {
            "latent_size": self.latent_size,
            "state": self.state,
            "state_size": self.state_size,
            "prior_units": self.prior_units,
            "posterior_units": self.posterior_units,
            "latent_units": self.latent_units,
            "posterior_stddev": self.posterior_stddev,
            "attends": self.attends,
            "initial_state_noise": self.initial_state_noise,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}
