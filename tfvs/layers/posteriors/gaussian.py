"""The paper's posterior: one Gaussian over scale and place."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.posteriors.proposal import Proposal, check_stddev
from tfvs.layers.shapes import known
from tfvs.layers.spatial_attention import SpatialAttention, spread_anchors
from tfvs.ops import gaussian

INITIAL_STDDEV = 0.1
# The scale of what a dense layer adds to attention's place. However small a gradient is, Adam moves each weight by its
# learning rate: at full gain the first steps, before anything is learned, would move every look far away.
OFFSET_GAIN = 0.1


class GaussianLooking(NamedTuple):
    """What does not change from step to step.

    Attributes:
      features: ``[B, F]`` φ_x(x̂).
      feature_map: ``[B, h, w, C]`` of the proxy.
    """

    features: tf.Tensor
    feature_map: tf.Tensor | None


@keras.saving.register_keras_serializable("tfvs")
class GaussianPosterior(keras.layers.Layer):
    """Prior ``N(μ, σ)(h_{t-1})`` and posterior ``N(μ, σ)([φ_x(x̂), h_{t-1}])``, both diagonal (eq. 10).

    The posterior starts near its centre with a standard deviation of about 0.1, so that the first saccades stay where
    gradients reach them.

    Args:
      latent_size: Z, at least 1.
      prior_units: Width of the prior's hidden layer.
      posterior_units: Width of the posterior's hidden layer.
      stddev: A fixed standard deviation; None learns it.
      anchors: Above 0, the posterior's mean of x and y begins at the place that :class:`SpatialAttention` finds on the
        proxy's feature map, and a dense layer adds a tenth of its output; there is an anchor for each of so many steps.
        Needs ``latent_size`` 3, whose components are s, x and y.
      seed: Seed of the noise; None draws one.

    Raises:
      ConfigError: A size or standard deviation that is not positive.
    """

    def __init__(
        self,
        latent_size: int = 3,
        prior_units: int = 128,
        posterior_units: int = 256,
        stddev: float | None = None,
        anchors: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(latent_size >= 1, "latent_size is too small", expected="at least 1", received=latent_size)
        check_stddev(stddev)
        require(
            not anchors or latent_size == 3,
            "Attention needs a latent whose components are s, x and y",
            expected="latent_size=3",
            received=latent_size,
        )
        self.latent_size, self.prior_units, self.posterior_units = latent_size, prior_units, posterior_units
        self.stddev, self.anchors, self.seed = stddev, anchors, seed
        self._noise = keras.random.SeedGenerator(seed)
        policy = self.dtype_policy
        dense = keras.layers.Dense
        self.prior_hidden = dense(prior_units, activation="relu", name="prior_hidden", dtype=policy)
        self.prior_head = dense(2 * latent_size, kernel_initializer="zeros", name="prior_head", dtype=policy)
        self.hidden = dense(posterior_units, activation="relu", name="hidden", dtype=policy)
        self.head = dense(
            latent_size if stddev else 2 * latent_size,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="head",
            dtype=policy,
        )
        self.attention = SpatialAttention(name="attention", dtype=policy) if anchors else None

    def build(
        self, features_shape: tuple[int | None, ...], map_shape: Any, hidden_shape: tuple[int | None, ...]
    ) -> None:
        """Args: features_shape: ``[B, F]``; map_shape: ``[B, h, w, C]``, with anchors; hidden_shape: ``[B, D]``."""
        width = known(features_shape[-1], "the proxy's features") + known(hidden_shape[-1], "the state")
        self.prior_hidden.build(hidden_shape)
        self.prior_head.build((None, self.prior_units))
        self.hidden.build((None, width))
        self.head.build((None, self.posterior_units))
        if self.attention is not None:
            if map_shape is None:
                raise ValueError("GaussianPosterior(anchors=…) is built with the shape of the feature map as well.")
            self.attention.build(map_shape, (None, width))
            # Where each step's attention begins: spread over the image, so that together they see it all.
            self.places = self.add_weight(
                name="anchors",
                shape=(self.anchors, 2),
                dtype="float32",
                initializer=keras.initializers.Constant(spread_anchors(self.anchors)),
                autocast=False,
            )

    def begin(self, features: tf.Tensor, feature_map: tf.Tensor | None) -> GaussianLooking:
        """What all steps of one trajectory share.

        Args:
          features: ``[B, F]`` φ_x(x̂).
          feature_map: ``[B, h, w, C]`` of the proxy; read only with anchors.
        """
        return GaussianLooking(features, feature_map)

    def propose(
        self, looking: GaussianLooking, hidden: tf.Tensor, step: int, sample: bool
    ) -> tuple[Proposal, GaussianLooking]:
        """Proposes z_t.

        Args:
          looking: As :meth:`begin` gave it.
          hidden: ``[B, D]`` h_{t-1}.
          step: t, from 0.
          sample: Whether z_t is drawn or the mean is followed.

        Returns:
          The proposal, and what the next step gets.
        """
        prior_loc, prior_raw = tf.split(
            tf.cast(self.prior_head(self.prior_hidden(hidden)), tf.float32), 2, axis=-1
        )  # p(z_t | h_{t-1})
        prior_scale = gaussian.stddev_from_raw(prior_raw, 1.0)

        evidence = tf.concat([looking.features, hidden], axis=-1)
        posterior = tf.cast(self.head(self.hidden(evidence)), tf.float32)  # q(z_t | x̂, h_{t-1})
        if self.stddev is None:
            loc, raw = tf.split(posterior, 2, axis=-1)
            scale = gaussian.stddev_from_raw(raw, INITIAL_STDDEV)
        else:
            loc = posterior
            scale = tf.fill(tf.shape(loc), float(self.stddev))
        if self.attention is not None:
            anchor = tf.convert_to_tensor(self.places)[step]
            place = self.attention(looking.feature_map, evidence, anchor)  # [B, (x, y)]
            loc = OFFSET_GAIN * loc + tf.pad(place, [[0, 0], [1, 0]])
        latent = loc
        if sample:
            latent = loc + scale * keras.random.normal(tf.shape(loc), dtype="float32", seed=self._noise)
        kl = gaussian.kl_divergence(loc, scale, prior_loc, prior_scale)
        return Proposal(latent, loc, scale, prior_loc, prior_scale, kl), looking

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        names = ("latent_size", "prior_units", "posterior_units", "stddev", "anchors", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
