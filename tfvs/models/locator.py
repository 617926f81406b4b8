"""Where the saccader looks: a VRNN over the proxy, and the location that each of its latents stands for."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.layers import ConvDecoder
from tfvs.layers.shapes import known
from tfvs.losses import likelihoods
from tfvs.models import places
from tfvs.models import saccader_parts as parts
from tfvs.models.keras_interface import KerasInterface
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.models.saccader_output import SaccadeTrajectory
from tfvs.ops import boxes as box_ops


class Locator(KerasInterface):
    """The half of :class:`tfvs.VariationalSaccader` that chooses where to look, from the proxy alone.

    Args:
      config: Configuration of the saccader.
      proxy_features: A network that gives feature maps of the proxy; None takes that of the configuration.
      pretrained: False leaves the weights of the network that the configuration names random.
      **kwargs: Those of :class:`tfvs.models.keras_interface.KerasInterface`.
    """

    def __init__(
        self, config: SaccaderConfig, proxy_features: keras.layers.Layer | None, pretrained: bool, **kwargs: Any
    ) -> None:
        super().__init__(config, **kwargs)
        policy = self.dtype_policy
        self.encoder = parts.make_encoder(config, policy)
        self.vrnn = parts.make_vrnn(config, policy)
        self.location = parts.make_location(config)
        self.proxy_features = parts.make_proxy_features(config, policy, proxy_features, pretrained)
        self.decoder: ConvDecoder | None = None
        # Widest crop as a fraction of the image's shorter side; tfvs.training.callbacks.ZoomSchedule moves it.
        self.max_scale = self.add_weight(
            name="max_scale",
            shape=(),
            dtype="float32",
            trainable=False,
            initializer=keras.initializers.Constant(config.max_scale),
        )

    def build_locator(self, proxy_shape: tuple[int | None, ...]) -> None:
        """Creates the variables of the layers that choose where to look.

        Args:
          proxy_shape: ``[B, h, w, c]``.
        """
        cfg = self.config
        height, width, bands = self.proxy_shape = tuple(known(size, "the proxy") for size in proxy_shape[1:])
        self.encoder.build(self._encoder_shapes(proxy_shape))
        self.vrnn.build((None, cfg.encoder_units), self.encoder.map_shape)
        if cfg.reconstruction_weight > 0.0:
            parameters = bands * likelihoods.parameters_per_channel(cfg.likelihood)
            self.decoder = ConvDecoder(
                (height, width, parameters), cfg.decoder_filters, name="decoder", dtype=self.dtype_policy
            )
            self.decoder.build((None, cfg.latent_units + cfg.state_size))
        self.location.build((None, cfg.num_steps, cfg.latent_size))

    def _encoder_shapes(self, proxy_shape: tuple[int | None, ...]) -> Any:
        """Shapes of what :meth:`_encoder_inputs` gives."""
        shape = (None, *proxy_shape[1:])
        if not self.config.has_cells:
            return shape
        if self.proxy_features is not None:
            self.proxy_features.build(shape)
        maps = self._encoder_inputs(tf.zeros((1, *shape[1:])), training=False)
        return [(None, *value.shape[1:]) for value in maps]

    def _encoder_inputs(self, proxy: tf.Tensor, training: bool) -> Any:
        """What φ_x reads: the proxy; with cells a list of feature maps."""
        if not self.config.has_cells:
            return proxy
        return places.proxy_maps(proxy, self.config, self.proxy_features, training=training)

    def locate(
        self,
        proxy: tf.Tensor,
        image_size: tf.Tensor,
        *,
        training: bool = False,
        sample: bool | None = None,
        num_steps: int | None = None,
        field_of_view: tf.Tensor | None = None,
    ) -> SaccadeTrajectory:
        """Chooses where to look, from the proxy alone.

        Args:
          proxy: ``[B, h, w, c]`` float32 in [0, 1].
          image_size: ``[B, 2]`` height and width, pixels.
          training: Whether the model trains.
          sample: Whether latents are drawn from the posterior; None draws while training, else the likeliest cell and
            the mean are followed.
          num_steps: T; None for that of the configuration.
          field_of_view: ``[B, 4]`` float32 boxes; cells outside them are looked at last. None for all of the image.

        Returns:
          The trajectory.

        Raises:
          ConfigError: A number of steps that the model cannot take.
        """
        cfg = self.config
        steps_wanted = cfg.num_steps if num_steps is None else num_steps
        cfg.check_steps(steps_wanted)
        draws = training if sample is None else sample
        features, _ = read = self._read_proxy(proxy, training)
        looking = self._begin(proxy, read, steps_wanted, draws, field_of_view)
        states = self.vrnn.get_initial_states(tf.shape(proxy)[0], training=training)
        steps, hidden_states = [], []
        for t in range(steps_wanted):
            hidden_states.append(states[0])  # h_{t-1}
            step = self.vrnn(features, states, looking=looking, step=t, training=training, sample=draws)
            looking, states = step.looking, step.states
            steps.append(step)
        hidden = tf.stack(hidden_states, axis=1)  # [B, T, D]

        def stacked(field: str) -> tf.Tensor:
            return tf.stack([getattr(step.proposal, field) for step in steps], axis=1)

        log_likelihood = reconstruction = None
        if self.decoder is not None:
            latent_features = tf.stack([step.latent_features for step in steps], axis=1)
            parameters = self._decode(latent_features, hidden)  # p(x̂ | z_t, h_{t-1}), all steps at once
            log_likelihood = likelihoods.log_likelihood(proxy[:, tf.newaxis], parameters, cfg.likelihood)
            reconstruction = likelihoods.mean(parameters, cfg.likelihood)
        first, has_cells = steps[0].proposal, cfg.has_cells
        theta = self.location(stacked("latent"), image_size, self.max_scale)
        return SaccadeTrajectory(
            boxes=box_ops.scaled_boxes(theta, image_size[:, tf.newaxis, :], cfg.scales),
            kl=stacked("kl"),
            log_likelihood=log_likelihood,
            reconstruction=reconstruction,
            posterior_loc=stacked("posterior_loc"),
            posterior_scale=stacked("posterior_scale"),
            prior_loc=stacked("prior_loc"),
            prior_scale=stacked("prior_scale"),
            hidden_states=hidden,
            posterior_map=places.probabilities(first.place_logits) if has_cells else None,
            place_log_prob=stacked("place_log_prob") if has_cells else None,
            place_logit=stacked("place_logit") if has_cells else None,
        )

    def _read_proxy(self, proxy: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """φ_x(x̂) ``[B, F]`` and its map; where looks follow the prior zeros, from which no evidence comes."""
        if not self.config.looks_from_prior:
            return self.encoder(self._encoder_inputs(proxy, training), training=training)
        batch, dtype = tf.shape(proxy)[0], self.encoder.compute_dtype
        width, map_shape = self.config.encoder_units, self.encoder.map_shape[1:]
        return tf.zeros([batch, width], dtype), tf.zeros([batch, *map_shape], dtype)

    def _begin(
        self,
        proxy: tf.Tensor,
        read: tuple[tf.Tensor, tf.Tensor],
        num_steps: int,
        draws: bool,
        field_of_view: tf.Tensor | None,
    ) -> Any:
        """What all steps share: with cells, their prior too."""
        features, feature_map = read
        cfg = self.config
        if not cfg.has_cells:
            return self.vrnn.posterior.begin(features, feature_map)

        def reconstruct() -> tf.Tensor:  # p(x̂ | z = 0, h_1): what the VRNN makes of the proxy before it looks anywhere
            states = self.vrnn.get_initial_states(tf.shape(proxy)[0])
            latent_features, states = self.vrnn.read(features, tf.zeros([tf.shape(proxy)[0], cfg.latent_size]), states)
            parameters = self._decode(latent_features[:, tf.newaxis], states[0][:, tf.newaxis])
            return likelihoods.mean(parameters, cfg.likelihood)[:, 0]

        log_prior = places.log_prior(proxy, cfg, field_of_view, reconstruct)
        return self.vrnn.posterior.begin(features, feature_map, log_prior, num_steps, draws)

    def _decode(self, latent_features: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
        """Parameters of p(x̂ | z_t, h_{t-1}): ``[B, T, ·]`` each → ``[B, T, h, w, ·]`` float32."""
        width = self.config.latent_units + self.config.state_size
        inputs = tf.reshape(tf.concat([latent_features, hidden], axis=-1), [-1, width])
        parameters = tf.cast(self.decoder(inputs), tf.float32)  # type: ignore[misc]
        return tf.reshape(parameters, [-1, hidden.shape[1], *parameters.shape[1:]])
