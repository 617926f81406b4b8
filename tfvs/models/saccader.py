"""The variational saccader: where to look from a proxy, what it is from a few crops."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.errors import ConfigError
from tfvs.layers import (
    ConvDecoder,
    ConvEncoder,
    CropClassifier,
    LocalizedSpatialTransformer,
    LocationHead,
    SpatialTransformer,
    VRNNCell,
)
from tfvs.layers.shapes import known
from tfvs.layers.spatial_attention import spread_anchors
from tfvs.losses import bound_terms, likelihoods
from tfvs.models import pixels
from tfvs.models.image_classifier import ImageClassifier
from tfvs.models.pixels import IMAGE, PROXY
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.models.saccader_output import SaccaderOutput, SaccadeTrajectory
from tfvs.ops import boxes as box_ops
from tfvs.ops import gaussian

TRANSFORMERS = ("spatial_transformer", "localized_spatial_transformer")


@keras.saving.register_keras_serializable("tfvs")
class VariationalSaccader(ImageClassifier):
    """Classifies an image by T looks at it, chosen from a small proxy (eq. 5).

    A VRNN reads the proxy; each latent z_t becomes a crop's location; a convolutional network reads the crops. All
    locations are known before the first crop is read. The loss is the bound of eq. 5, negated: compile without a loss.

    Inputs are a dict: ``"proxy" [B, h, w, c]`` in [0, 1] with ``"image" [B, H, W, C]`` in [0, 1] (or uint8, uint16), or
    with the pyramid features of :data:`tfvs.data.example.PYRAMID_FEATURES`. Outputs are a :class:`SaccaderOutput`.

    >>> model = VariationalSaccader(num_classes=10, num_steps=2, crop_size=16)
    >>> output = model({"image": tf.zeros([4, 100, 80, 1]), "proxy": tf.zeros([4, 32, 32, 1])})
    >>> output.logits.shape, output.boxes.shape, output.crops.shape
    (TensorShape([4, 10]), TensorShape([4, 2, 4]), TensorShape([4, 2, 16, 16, 1]))

    Args:
      config: The configuration; or its fields as keyword arguments.
      name: Of the model.
      dtype: Keras dtype policy; locations and crops stay in float32 whatever it is.
      spatial_transformer: Cuts crops out of dense images; None makes the layer of the configuration.
      localized_spatial_transformer: Reads crops of pyramids by tiles, likewise; where the configuration says
        ``localized``, also crops of dense images.
      **fields: Fields of :class:`SaccaderConfig`.

    Raises:
      ConfigError: An unknown field, a value that cannot work, or both a config and fields.
    """

    def __init__(
        self,
        config: SaccaderConfig | None = None,
        *,
        name: str | None = None,
        dtype: Any = None,
        spatial_transformer: keras.layers.Layer | None = None,
        localized_spatial_transformer: keras.layers.Layer | None = None,
        **fields: Any,
    ) -> None:
        trainable = fields.pop("trainable", True)
        if config is not None and fields:
            raise ConfigError("Give a config or its fields, not both", received=sorted(fields))
        super().__init__(name=name, dtype=dtype, autocast=False, trainable=trainable)
        self.config = cfg = config or SaccaderConfig.from_dict(fields)
        require(
            cfg.posterior == "gaussian" and cfg.look_pooling == "mean" and cfg.scales == (1.0,),
            "The model cannot be made with these fields yet",
            expected='posterior="gaussian", look_pooling="mean", scales=(1.0,)',
            received=f"posterior={cfg.posterior!r}, look_pooling={cfg.look_pooling!r}, scales={cfg.scales}",
        )
        policy = self.dtype_policy
        self.encoder = ConvEncoder(
            cfg.encoder_filters,
            cfg.encoder_strides,
            cfg.encoder_units,
            cfg.normalization,
            name="encoder",
            dtype=policy,
        )
        self.vrnn = VRNNCell(
            latent_size=cfg.latent_size,
            state=cfg.state,
            state_size=cfg.state_size,
            prior_units=cfg.prior_units,
            posterior_units=cfg.posterior_units,
            latent_units=cfg.latent_units,
            posterior_stddev=cfg.posterior_stddev,
            attends=cfg.attends,
            initial_state_noise=cfg.initial_state_noise,
            name="vrnn",
            dtype=policy,
        )
        self.location = LocationHead(cfg.min_scale, name="location", dtype="float32")
        rule: dict[str, Any] = {
            "max_level": cfg.max_level,
            "max_scale": cfg.max_scale * max(cfg.scales),
            "dtype": "float32",
        }
        self.spatial_transformer = pixels.check_transformer(
            spatial_transformer or SpatialTransformer(cfg.crop_size, name="spatial_transformer", **rule), cfg
        )
        self.localized_spatial_transformer = pixels.check_transformer(
            localized_spatial_transformer
            or LocalizedSpatialTransformer(
                cfg.crop_size, margin_px=cfg.margin_px, name="localized_spatial_transformer", **rule
            ),
            cfg,
        )
        self.classifier = CropClassifier(
            cfg.num_classes,
            filters=cfg.crop_filters,
            strides=cfg.crop_strides,
            stem_kernel_size=cfg.crop_stem_kernel,
            pooling=cfg.crop_pooling,
            crop_units=cfg.crop_units,
            head_units=cfg.head_units,
            normalization=cfg.normalization,
            reads_state=cfg.classifier_reads_state,
            name="classifier",
            dtype=policy,
        )
        # Widest crop as a fraction of the image's shorter side; tfvs.training.callbacks.ZoomSchedule moves it.
        self.max_scale = self.add_weight(
            name="max_scale",
            shape=(),
            dtype="float32",
            trainable=False,
            initializer=keras.initializers.Constant(cfg.max_scale),
        )
        if cfg.attends:  # Where each step's attention begins: spread over the image, so that together they see it all.
            self.anchors = self.add_weight(
                name="anchors",
                shape=(cfg.num_steps, 2),
                dtype="float32",
                initializer=keras.initializers.Constant(spread_anchors(cfg.num_steps)),
            )
        self.term_metrics = {
            name: keras.metrics.Mean(name=name)
            for name in ("classification", "reconstruction", *(f"kl_{t + 1}" for t in range(cfg.num_steps)))
        }

    def build(self, input_shape: dict[str, tuple[int | None, ...]]) -> None:
        """Creates all variables.

        Args:
          input_shape: Shape of each input.

        Raises:
          InputError: Shapes that cannot work.
        """
        cfg = self.config
        shapes = {key: tuple(shape) for key, shape in input_shape.items()}
        self.channels = pixels.check_shapes(shapes, cfg)
        proxy_shape = shapes[PROXY]
        height, width, bands = self.proxy_shape = tuple(known(size, "the proxy") for size in proxy_shape[1:])
        parameters = bands * likelihoods.parameters_per_channel(cfg.likelihood)
        self.decoder = ConvDecoder(
            (height, width, parameters), cfg.decoder_filters, name="decoder", dtype=self.dtype_policy
        )
        self.encoder.build((None, *proxy_shape[1:]))
        self.vrnn.build((None, cfg.encoder_units), self.encoder.map_shape)
        self.decoder.build((None, cfg.latent_units + cfg.state_size))
        self.location.build((None, cfg.num_steps, cfg.latent_size))
        self.classifier.build(
            (None, cfg.num_steps, cfg.crop_size, cfg.crop_size, self.channels), (None, cfg.num_steps, cfg.state_size)
        )

    def locate(
        self, proxy: tf.Tensor, image_size: tf.Tensor, *, training: bool = False, sample: bool | None = None
    ) -> SaccadeTrajectory:
        """Where to look, from the proxy alone.

        Args:
          proxy: ``[B, h, w, c]`` float32 in [0, 1].
          image_size: ``[B, 2]`` height and width, pixels.
          training: Whether the model trains.
          sample: Whether latents are drawn from the posterior; None draws while training, else the mean is followed.

        Returns:
          The trajectory.
        """
        cfg = self.config
        features, feature_map = self.encoder(proxy, training=training)  # φ_x(x̂)
        states = self.vrnn.get_initial_states(tf.shape(proxy)[0], training=training)
        steps, hidden_states = [], []
        anchors = tf.unstack(tf.convert_to_tensor(self.anchors)) if cfg.attends else [None] * cfg.num_steps
        for anchor in anchors:
            hidden_states.append(states[0])  # h_{t-1}
            step = self.vrnn(features, states, feature_map, anchor, training=training, sample=sample)
            states = step.states
            steps.append(step)
        hidden = tf.stack(hidden_states, axis=1)  # [B, T, D]

        def stacked(field: str) -> tf.Tensor:
            return tf.stack([getattr(step, field) for step in steps], axis=1)

        posterior_loc, posterior_scale = stacked("posterior_loc"), stacked("posterior_scale")
        prior_loc, prior_scale = stacked("prior_loc"), stacked("prior_scale")
        kl = gaussian.kl_divergence(posterior_loc, posterior_scale, prior_loc, prior_scale)  # [B, T]

        # p(x̂ | z_t, h_{t-1}), all steps at once.
        decoder_inputs = tf.concat([stacked("latent_features"), hidden], axis=-1)
        width = cfg.latent_units + cfg.state_size
        parameters = tf.cast(self.decoder(tf.reshape(decoder_inputs, [-1, width])), tf.float32)
        parameters = tf.reshape(parameters, [-1, cfg.num_steps, *parameters.shape[1:]])  # [B, T, h, w, ·]
        log_likelihood = likelihoods.log_likelihood(proxy[:, tf.newaxis], parameters, cfg.likelihood)

        theta = self.location(stacked("latent"), image_size, self.max_scale)
        return SaccadeTrajectory(
            boxes=box_ops.boxes_from_theta(theta, image_size[:, tf.newaxis, :]),
            kl=kl,
            log_likelihood=log_likelihood,
            reconstruction=likelihoods.mean(parameters, cfg.likelihood),
            posterior_loc=posterior_loc,
            posterior_scale=posterior_scale,
            prior_loc=prior_loc,
            prior_scale=prior_scale,
            hidden_states=hidden,
        )

    def classify_crops(self, crops: tf.Tensor, hidden_states: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        """What it is, from the crops.

        Args:
          crops: ``[B, T, S, S, C]`` float32 in [0, 1].
          hidden_states: ``[B, T, D]`` of the trajectory.
          training: Whether the model trains.

        Returns:
          ``[B, K]`` float32 logits.
        """
        return self.classifier(crops, hidden_states, training=training)

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> SaccaderOutput:
        """Looks and classifies; see the class for inputs.

        Raises:
          InputError: A dtype or number of channels that cannot be used.
          ConfigError: Pyramids without ``pyramid_roots``.
        """
        inputs = {k: pixels.to_float(v, k) if k in (PROXY, IMAGE) else v for k, v in inputs.items()}
        if training:
            inputs = {k: pixels.check_range(v, k) if k in (PROXY, IMAGE) else v for k, v in inputs.items()}
        proxy = inputs[PROXY]
        batch = tf.shape(proxy)[0]
        count = 1 if training else self.config.num_samples
        trajectory = self.locate(  # [B·N, T, …]
            tf.repeat(proxy, count, axis=0) if count > 1 else proxy,
            tf.repeat(pixels.image_sizes(inputs, batch), count, axis=0),
            training=training,
            sample=training or count > 1,
        )
        crops, valid = self._read_crops(inputs, trajectory.boxes, count)
        logits = self.classify_crops(crops, trajectory.hidden_states, training=training)  # [B·N, K]
        log_probabilities = tf.nn.log_softmax(logits)
        if count > 1:
            grouped = tf.reshape(log_probabilities, [-1, count, self.config.num_classes])
            logits = log_probabilities = tf.reduce_logsumexp(grouped, axis=1) - math.log(count)
        shown = {
            name: value[::count]
            for name, value in trajectory._asdict().items()
            if name != "hidden_states" and value is not None
        }
        return SaccaderOutput(
            logits=logits,
            crops=crops[::count],
            entropy=-tf.reduce_sum(tf.exp(log_probabilities) * log_probabilities, axis=-1),
            valid=valid & tf.reduce_all(tf.math.is_finite(proxy), axis=[1, 2, 3]),
            **shown,
        )

    @property
    def dense_transformer(self) -> keras.layers.Layer:
        """The layer that cuts crops out of dense images: the spatial transformer, or the localized one."""
        return self.localized_spatial_transformer if self.config.localizes_dense_images else self.spatial_transformer

    def _read_crops(self, inputs: dict[str, tf.Tensor], boxes: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Crops ``[B·N, T, S, S, C]`` of all N trajectories in one read, and ``[B]`` which images could be read."""
        cfg = self.config
        side_by_side = tf.reshape(boxes, [-1, count * cfg.num_steps, 4])
        if IMAGE in inputs:
            crops = self.dense_transformer(pixels.check_channels(inputs[IMAGE], self.channels), side_by_side)
            valid = tf.reduce_all(tf.math.is_finite(crops), axis=[1, 2, 3, 4])
        else:
            crops, valid, _ = self.localized_spatial_transformer(
                pixels.pyramid_features(inputs), side_by_side, roots=pixels.check_roots(cfg), channels=self.channels
            )
        found = tf.reduce_all(tf.math.is_finite(side_by_side), axis=[1, 2])
        return tf.reshape(crops, [-1, cfg.num_steps, cfg.crop_size, cfg.crop_size, self.channels]), valid & found

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As :meth:`keras.Model.fit`; strings among the inputs may go to several devices."""
        if "validation_data" in kwargs:
            kwargs["validation_data"] = self._transportable(kwargs["validation_data"])
        return super().fit(self._transportable(x), *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`keras.Model.evaluate`; strings among the inputs may go to several devices."""
        return super().evaluate(self._transportable(x), *args, **kwargs)

    def predict(self, x: Any = None, *args: Any, **kwargs: Any) -> SaccaderOutput:
        """As :meth:`keras.Model.predict`; a :class:`SaccaderOutput` of NumPy arrays."""
        return SaccaderOutput(**super().predict(x, *args, **kwargs))

    def predict_on_batch(self, x: Any) -> SaccaderOutput:
        """As :meth:`keras.Model.predict_on_batch`; a :class:`SaccaderOutput` of NumPy arrays."""
        return SaccaderOutput(**super().predict_on_batch(x))

    def predict_step(self, data: Any) -> dict[str, tf.Tensor]:
        """What Keras gathers over batches: the outputs that this model has."""
        return {name: value for name, value in super().predict_step(data)._asdict().items() if value is not None}

    def _transportable(self, x: Any) -> Any:
        """Keras averages each batch over the devices to learn its shapes, and strings have no average."""
        if self.distribute_strategy.num_replicas_in_sync == 1 or not isinstance(x, tf.data.Dataset):
            return x
        return x.map(lambda inputs, *rest: (pixels.pack_features(inputs), *rest))

    def loss_per_image(self, labels: tf.Tensor, outputs: SaccaderOutput, weights: tf.Tensor) -> tf.Tensor:
        """The bound of eq. 5, negated and weighted; its terms become metrics.

        Args:
          labels: ``[B]`` int32.
          outputs: What :meth:`call` gave.
          weights: ``[B]`` float32.

        Returns:
          ``[B]`` float32 nats.
        """
        cfg = self.config
        terms = bound_terms(labels, outputs.logits, outputs.log_likelihood, outputs.kl)
        self.term_metrics["classification"].update_state(terms.classification, weights)
        self.term_metrics["reconstruction"].update_state(terms.reconstruction, weights)
        for t in range(cfg.num_steps):
            self.term_metrics[f"kl_{t + 1}"].update_state(terms.kl[:, t], weights)
        return terms.total(cfg.classification_weight, cfg.reconstruction_weight, cfg.kl_weight)

    def get_config(self) -> dict[str, Any]:
        """Every field of the configuration, and the layers that cut crops."""
        layers = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in TRANSFORMERS}
        own = {"name": self.name, "trainable": self.trainable, "dtype": self._dtype_config()}
        return {**own, **layers, **self.config.to_dict()}

    def _dtype_config(self) -> dict[str, Any]:
        return keras.dtype_policies.serialize(self.dtype_policy)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VariationalSaccader:
        """The inverse of :meth:`get_config`.

        Raises:
          ConfigError: An unknown key.
        """
        layers = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in TRANSFORMERS
            if isinstance(config.get(name), dict)
        }
        return cls(**{**config, **layers})
