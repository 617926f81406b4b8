"""The variational saccader: where to look from a proxy, what it is from a few crops."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tfvs.data.inputs import FIELD_OF_VIEW
from tfvs.errors import ConfigError, InputError
from tfvs.layers import ConvDecoder, LocalizedSpatialTransformer, SpatialTransformer
from tfvs.layers.crop_classifier import LookAnswers
from tfvs.layers.posteriors.priors import log_place_prior
from tfvs.layers.shapes import known
from tfvs.losses import attention_weights, bound_terms, likelihoods, place_surrogate
from tfvs.models import pixels, places
from tfvs.models import saccader_parts as parts
from tfvs.models.image_classifier import ImageClassifier
from tfvs.models.pixels import IMAGE, PROXY
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.models.saccader_output import SaccaderOutput, SaccadeTrajectory
from tfvs.ops import boxes as box_ops

TRANSFORMERS = ("spatial_transformer", "localized_spatial_transformer")
# Fields whose networks may be given as Keras models or layers.
NETWORKS = ("crop_encoder", "proxy_features")
OWN_TRANSFORMERS = (SpatialTransformer, LocalizedSpatialTransformer)


@keras.saving.register_keras_serializable("tfvs")
class VariationalSaccader(ImageClassifier):
    """Classifies an image by T looks at it, chosen from a small proxy (eq. 5).

    A VRNN reads the proxy; each latent z_t becomes a crop's location; a convolutional network reads the crops. All
    locations are known before the first crop is read. The loss is the bound of eq. 5, negated: compile without a loss.

    Inputs are a dict: ``"proxy" [B, h, w, c]`` in [0, 1] with ``"image" [B, H, W, C]`` in [0, 1] (or uint8, uint16), or
    with the pyramid features of :data:`tfvs.data.example.PYRAMID_FEATURES`, and those of
    :data:`tfvs.data.inputs.OPTIONAL_INPUTS` where they are wanted. Outputs are a :class:`SaccaderOutput`.

    >>> model = VariationalSaccader(num_classes=10, num_steps=2, crop_size=16)
    >>> output = model({"image": tf.zeros([4, 100, 80, 1]), "proxy": tf.zeros([4, 32, 32, 1])})
    >>> output.logits.shape, output.boxes.shape, output.crops.shape
    (TensorShape([4, 10]), TensorShape([4, 2, 4]), TensorShape([4, 2, 16, 16, 1]))

    Args:
      config: The configuration; or its fields as keyword arguments.
      name: Name of the model.
      dtype: Keras dtype policy; locations and crops stay in float32 whatever it is.
      spatial_transformer: Cuts crops out of dense images; None makes the layer of the configuration.
      localized_spatial_transformer: Reads crops of pyramids by tiles, likewise; where the configuration says
        ``localized``, also crops of dense images.
      pretrained: False leaves the weights of networks that the configuration names random, for a model whose weights
        are loaded afterwards.
      **fields: Fields of :class:`SaccaderConfig`. Keras models and layers are taken as ``crop_encoder`` and
        ``proxy_features`` too, see :class:`tfvs.backbones.ImageEncoder`; they are saved within the model.

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
        pretrained: bool = True,
        **fields: Any,
    ) -> None:
        trainable = fields.pop("trainable", True)
        given = {key: fields.pop(key) for key in NETWORKS if isinstance(fields.get(key), keras.layers.Layer)}
        if config is not None and fields:
            raise ConfigError("Give a config or its fields, not both", received=sorted(fields))
        super().__init__(name=name, dtype=dtype, autocast=False, trainable=trainable)
        self.config = cfg = config or SaccaderConfig.from_dict(fields)
        policy = self.dtype_policy
        self.encoder = parts.make_encoder(cfg, policy)
        self.vrnn = parts.make_vrnn(cfg, policy)
        self.location = parts.make_location(cfg)
        self.proxy_features = parts.make_proxy_features(cfg, policy, given.get("proxy_features"), pretrained)
        crop_encoder = parts.make_crop_encoder(cfg, policy, given.get("crop_encoder"), pretrained)
        self.classifier = parts.make_classifier(cfg, policy, crop_encoder)
        self._given = tuple(given)
        self.spatial_transformer = pixels.check_transformer(
            spatial_transformer or parts.make_spatial_transformer(cfg), cfg
        )
        self.localized_spatial_transformer = pixels.check_transformer(
            localized_spatial_transformer or parts.make_localized_spatial_transformer(cfg), cfg
        )
        self.decoder: ConvDecoder | None = None
        # Widest crop as a fraction of the image's shorter side; tfvs.training.callbacks.ZoomSchedule moves it.
        self.max_scale = self.add_weight(
            name="max_scale",
            shape=(),
            dtype="float32",
            trainable=False,
            initializer=keras.initializers.Constant(cfg.max_scale),
        )
        reconstruction = ("reconstruction",) if cfg.reconstruction_weight > 0.0 else ()
        self.term_metrics = {
            name: keras.metrics.Mean(name=name)
            for name in ("classification", *reconstruction, *(f"kl_{t + 1}" for t in range(cfg.num_steps)))
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
        self.encoder.build(self._encoder_shapes(proxy_shape))
        self.vrnn.build((None, cfg.encoder_units), self.encoder.map_shape)
        if cfg.reconstruction_weight > 0.0:
            parameters = bands * likelihoods.parameters_per_channel(cfg.likelihood)
            self.decoder = ConvDecoder(
                (height, width, parameters), cfg.decoder_filters, name="decoder", dtype=self.dtype_policy
            )
            self.decoder.build((None, cfg.latent_units + cfg.state_size))
        self.location.build((None, cfg.num_steps, cfg.latent_size))
        looks = cfg.num_steps * len(cfg.scales)
        self.classifier.build(
            (None, looks, cfg.crop_size, cfg.crop_size, self.channels), (None, cfg.num_steps, cfg.state_size)
        )
        self._shapes = shapes

    def _encoder_shapes(self, proxy_shape: tuple[int | None, ...]) -> Any:
        """Shapes of what :meth:`_encoder_inputs` gives."""
        shape = (None, *proxy_shape[1:])
        if self.config.posterior != "categorical":
            return shape
        if self.proxy_features is not None:
            self.proxy_features.build(shape)
        maps = self._encoder_inputs(tf.zeros((1, *shape[1:])), training=False)
        return [(None, *value.shape[1:]) for value in maps]

    def _encoder_inputs(self, proxy: tf.Tensor, training: bool) -> Any:
        """What φ_x reads: the proxy; with cells a list of feature maps."""
        if self.config.posterior != "categorical":
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
        """Where to look, from the proxy alone.

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
        first, has_cells = steps[0].proposal, cfg.posterior == "categorical"
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
            posterior_map=_softmax_of_map(first.place_logits) if has_cells else None,
            place_log_prob=stacked("place_log_prob") if has_cells else None,
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
        if cfg.posterior == "gaussian" or cfg.cells is None:
            return self.vrnn.posterior.begin(features, feature_map)

        def reconstruct() -> tf.Tensor:  # p(x̂ | z = 0, h_1): what the VRNN makes of the proxy before it looks anywhere
            states = self.vrnn.get_initial_states(tf.shape(proxy)[0])
            latent_features, states = self.vrnn.read(features, tf.zeros([tf.shape(proxy)[0], cfg.latent_size]), states)
            parameters = self._decode(latent_features[:, tf.newaxis], states[0][:, tf.newaxis])
            return likelihoods.mean(parameters, cfg.likelihood)[:, 0]

        log_prior = log_place_prior(
            cfg.place_prior,
            proxy,
            cfg.cells,
            power=cfg.prior_power,
            floor=cfg.prior_floor,
            reconstruct=reconstruct,
        )
        if field_of_view is not None:
            log_prior = places.within_field(log_prior, field_of_view)
        return self.vrnn.posterior.begin(features, feature_map, log_prior, num_steps, draws)

    def _decode(self, latent_features: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
        """Parameters of p(x̂ | z_t, h_{t-1}): ``[B, T, ·]`` each → ``[B, T, h, w, ·]`` float32."""
        width = self.config.latent_units + self.config.state_size
        inputs = tf.reshape(tf.concat([latent_features, hidden], axis=-1), [-1, width])
        parameters = tf.cast(self.decoder(inputs), tf.float32)  # type: ignore[misc]
        return tf.reshape(parameters, [-1, hidden.shape[1], *parameters.shape[1:]])

    def classify_crops(self, crops: tf.Tensor, hidden_states: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        """What it is, from the crops.

        Args:
          crops: ``[B, L, S, S, C]`` float32 in [0, 1], one for each box of the trajectory.
          hidden_states: ``[B, T, D]`` of the trajectory.
          training: Whether the model trains.

        Returns:
          ``[B, K]`` float32 logits.
        """
        return self.answer_crops(crops, hidden_states, training=training).logits

    def answer_crops(self, crops: tf.Tensor, hidden_states: tf.Tensor, *, training: bool = False) -> LookAnswers:
        """As :meth:`classify_crops`, with the evidence of every crop where looks give some."""
        return self.classifier.answer(crops, hidden_states, training=training)

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False, num_steps: int | None = None
    ) -> SaccaderOutput:
        """Looks and classifies; see the class for inputs.

        Args:
          inputs: The inputs.
          training: Whether the model trains.
          num_steps: T; None for that of the configuration.

        Raises:
          InputError: A dtype or number of channels that cannot be used.
          ConfigError: Pyramids without ``pyramid_roots``, or a number of steps that the model cannot take.
        """
        inputs = {k: pixels.to_float(v, k) if k in (PROXY, IMAGE) else v for k, v in inputs.items()}
        if training:
            inputs = {k: pixels.check_range(v, k) if k in (PROXY, IMAGE) else v for k, v in inputs.items()}
        proxy = inputs[PROXY]
        batch = tf.shape(proxy)[0]
        count = 1 if training else self.config.num_samples
        field = inputs.get(FIELD_OF_VIEW)
        trajectory = self.locate(  # [B·N, T, …]
            tf.repeat(proxy, count, axis=0) if count > 1 else proxy,
            tf.repeat(pixels.image_sizes(inputs, batch), count, axis=0),
            training=training,
            sample=training or count > 1,
            num_steps=num_steps,
            field_of_view=None if field is None else tf.repeat(field, count, axis=0),
        )
        crops, valid = self._read_crops(inputs, trajectory.boxes, count)
        answers = self._answer(crops, trajectory, training)
        logits = answers.logits  # [B·N, K]
        log_probabilities = tf.nn.log_softmax(logits)
        if count > 1:
            grouped = tf.reshape(log_probabilities, [-1, count, self.config.num_classes])
            logits = log_probabilities = tf.reduce_logsumexp(grouped, axis=1) - math.log(count)
        shown = {
            name: None if value is None else value[::count]
            for name, value in trajectory._asdict().items()
            if name != "hidden_states"
        }
        return SaccaderOutput(
            logits=logits,
            crops=crops[::count],
            evidence=None if answers.evidence is None else answers.evidence[::count],
            logits_without=answers.logits_without,
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
        looks = boxes.shape[1]
        side_by_side = pixels.boxes_to_read(inputs, tf.reshape(boxes, [-1, count * looks, 4]))
        if IMAGE in inputs:
            crops = self.dense_transformer(pixels.check_channels(inputs[IMAGE], self.channels), side_by_side)
            valid = tf.reduce_all(tf.math.is_finite(crops), axis=[1, 2, 3, 4])
        else:
            crops, valid, _ = self.localized_spatial_transformer(
                pixels.pyramid_features(inputs), side_by_side, roots=pixels.check_roots(cfg), channels=self.channels
            )
        found = tf.reduce_all(tf.math.is_finite(side_by_side), axis=[1, 2])
        crops = pixels.as_seen(inputs, crops, tf.reshape(boxes, [-1, count * looks, 4]))
        return tf.reshape(crops, [-1, looks, cfg.crop_size, cfg.crop_size, self.channels]), valid & found

    def _answer(self, crops: tf.Tensor, trajectory: SaccadeTrajectory, training: bool) -> LookAnswers:
        """What the crops say; while cells are learned, also what their choice learns from."""
        learns = training and trajectory.place_log_prob is not None
        weighs = learns and self.config.place_gradient == "attention"
        return self.classifier.answer(
            crops,
            trajectory.hidden_states,
            training=training,
            weights=attention_weights(trajectory.place_log_prob) if weighs else None,
            without_each=learns and self.config.place_gradient == "counterfactual",
        )

    def adapted(self, **changes: Any) -> VariationalSaccader:
        """A model with the same weights and some fields of the configuration changed.

        For another number of looks (``num_steps``), larger images (``cells``, ``min_scale``, ``max_scale``, and
        ``proxy_size``) or another way of predicting (``num_samples``, ``pyramid_roots``).

        Args:
          **changes: Fields of :class:`SaccaderConfig`; and ``proxy_size``, height and width of the proxies, pixels.

        Returns:
          A new, built model; it must be compiled before ``fit`` or ``evaluate``.

        Raises:
          InputError: This model is not built, or its weights do not fit the other configuration.
        """
        if not self.built:
            raise InputError("The model has no weights yet", mend="Call it once, or model.build, before")
        size = changes.pop("proxy_size", None)
        shapes = dict(self._shapes)
        if size is not None:
            shapes[PROXY] = (shapes[PROXY][0], *size, shapes[PROXY][-1])
        # Transformers of the user's own serve on; ours follow the configuration.
        own_layers = {
            name: layer for name in TRANSFORMERS if type(layer := getattr(self, name)) not in OWN_TRANSFORMERS
        }
        networks = {name: value for name, value in self._networks().items() if name not in changes}
        fields = {**self.config.to_dict(), **changes, **networks}
        other = type(self).from_config({**fields, **own_layers, "dtype": self._dtype_config()})
        other.build(shapes)
        own, wanted = ([tuple(weight.shape) for weight in model.weights] for model in (self, other))
        if own != wanted:
            raise InputError(
                "The weights do not fit", expected=wanted, received=own, mend=f"Change less than {changes}"
            )
        other.set_weights(self.get_weights())
        if "max_scale" in changes:
            other.max_scale.assign(other.config.max_scale)
        return other

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
        return _whole(super().predict(x, *args, **kwargs))

    def predict_on_batch(self, x: Any) -> SaccaderOutput:
        """As :meth:`keras.Model.predict_on_batch`; a :class:`SaccaderOutput` of NumPy arrays."""
        return _whole(super().predict_on_batch(x))

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
        if "reconstruction" in self.term_metrics:
            self.term_metrics["reconstruction"].update_state(terms.reconstruction, weights)
        for t in range(cfg.num_steps):
            self.term_metrics[f"kl_{t + 1}"].update_state(terms.kl[:, t], weights)
        total = terms.total(cfg.classification_weight, cfg.reconstruction_weight, cfg.kl_weight)
        if outputs.place_log_prob is None:
            return total
        step_costs = cfg.kl_weight * outputs.kl
        if outputs.log_likelihood is not None:
            step_costs -= cfg.reconstruction_weight * outputs.log_likelihood
        without = None
        if outputs.logits_without is not None:
            repeated = tf.repeat(labels[:, tf.newaxis], outputs.logits_without.shape[1], axis=1)
            without = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=repeated, logits=outputs.logits_without)
            without *= cfg.classification_weight
        classification = cfg.classification_weight * terms.classification
        return total + place_surrogate(cfg.place_gradient, classification, without, step_costs, outputs.place_log_prob)

    def get_config(self) -> dict[str, Any]:
        """Every field of the configuration, the layers that cut crops, and networks that were given."""
        layers = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in TRANSFORMERS}
        own = {"name": self.name, "trainable": self.trainable, "dtype": self._dtype_config()}
        return {**own, **layers, **self.config.to_dict(), **self._networks()}

    def _networks(self) -> dict[str, Any]:
        """Networks that were given as Keras models or layers, as Keras serializes them."""
        layers = {"crop_encoder": self.classifier.encoder, "proxy_features": self.proxy_features}
        return {name: keras.saving.serialize_keras_object(layers[name]) for name in self._given}

    def _dtype_config(self) -> dict[str, Any]:
        return keras.dtype_policies.serialize(self.dtype_policy)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VariationalSaccader:
        """The inverse of :meth:`get_config`; weights are random, also those of networks that were pretrained.

        Raises:
          ConfigError: An unknown key.
        """
        layers = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in (*TRANSFORMERS, *NETWORKS)
            if isinstance(config.get(name), dict) and "class_name" in config[name]
        }
        return cls(**{**config, **layers}, pretrained=False)


def _whole(found: dict[str, Any]) -> SaccaderOutput:
    """What Keras gathered, with None for the outputs that the model does not have."""
    return SaccaderOutput(**{**dict.fromkeys(SaccaderOutput._fields), **found})


def _softmax_of_map(logits: tf.Tensor) -> tf.Tensor:
    """``[B, rows, columns]`` logits → probabilities that sum to 1 over the map."""
    flat = tf.reshape(logits, [-1, logits.shape[1] * logits.shape[2]])
    return tf.reshape(tf.nn.softmax(flat), [-1, *logits.shape[1:]])
