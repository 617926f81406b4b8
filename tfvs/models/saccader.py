"""The variational saccader: it chooses where to look from a proxy, and classifies from a few crops."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tfvs.data.image_set import ImageSet
from tfvs.data.inputs import FIELD_OF_VIEW
from tfvs.errors import ConfigError, InputError
from tfvs.layers import LocalizedSpatialTransformer, SpatialTransformer
from tfvs.layers.crop_classifier import LookAnswers
from tfvs.losses import attention_weights, bound_terms
from tfvs.models import pixels, places
from tfvs.models import saccader_parts as parts
from tfvs.models.freezing import frozen_parts
from tfvs.models.image_classifier import FROZEN, Shapes
from tfvs.models.locator import Locator
from tfvs.models.pixels import IMAGE, PROXY
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.models.saccader_output import SaccaderOutput, SaccadeTrajectory
from tfvs.ops.validity import where_valid

TRANSFORMERS = ("spatial_transformer", "localized_spatial_transformer")
# Fields whose networks may be given as Keras models or layers.
NETWORKS = ("crop_encoder", "proxy_features")
OWN_TRANSFORMERS = (SpatialTransformer, LocalizedSpatialTransformer)


@keras.saving.register_keras_serializable("tfvs")
class VariationalSaccader(Locator):
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
      image_set: What the images are that it is trained on, for ``export``; ``fit`` takes it from a dataset of
        :func:`tfvs.datasets.image_dataset_from_directory`.
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
        image_set: ImageSet | dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        trainable = fields.pop("trainable", True)
        given = {key: fields.pop(key) for key in NETWORKS if isinstance(fields.get(key), keras.layers.Layer)}
        if config is not None and fields:
            raise ConfigError("Give a config or its fields, not both", received=sorted(fields))
        cfg = config or SaccaderConfig.from_dict(fields)
        super().__init__(
            cfg,
            given.get("proxy_features"),
            pretrained,
            name=name,
            dtype=dtype,
            autocast=False,
            trainable=trainable,
            image_set=image_set,
        )
        policy = self.dtype_policy
        crop_encoder = parts.make_crop_encoder(cfg, policy, given.get("crop_encoder"), pretrained)
        self.classifier = parts.make_classifier(cfg, policy, crop_encoder)
        self._given = tuple(given)
        self.spatial_transformer = pixels.check_transformer(
            spatial_transformer or parts.make_spatial_transformer(cfg), cfg
        )
        self.localized_spatial_transformer = pixels.check_transformer(
            localized_spatial_transformer or parts.make_localized_spatial_transformer(cfg), cfg
        )
        reconstruction = ("reconstruction",) if cfg.reconstruction_weight > 0.0 else ()
        self.term_metrics = {
            name: keras.metrics.Mean(name=name)
            for name in ("classification", *reconstruction, *(f"kl_{t + 1}" for t in range(cfg.num_steps)))
        }

    def check_shapes(self, shapes: Shapes) -> None:
        """See :meth:`tfvs.models.image_classifier.ImageClassifier.check_shapes`."""
        pixels.check_shapes(shapes, self.config, self.proxy_shape if self.built else None)
        if self.built and IMAGE in shapes and shapes[IMAGE][-1] != self.channels:
            raise InputError(
                "The image's channels differ from those the model was built with",
                expected=f"{self.channels} channels",
                received=shapes[IMAGE],
            )

    def build_parts(self, shapes: Shapes) -> None:
        """Creates the variables of all layers.

        Args:
          shapes: Shape of each input.

        Raises:
          InputError: Shapes that cannot work.
        """
        cfg = self.config
        self.channels = pixels.channels_of(shapes, cfg)
        self.build_locator(shapes[PROXY])
        self.classifier.build(
            (None, cfg.crops_per_image, cfg.crop_size, cfg.crop_size, self.channels),
            (None, cfg.num_steps, cfg.state_size),
        )
        self._shapes = shapes

    def classify_crops(self, crops: tf.Tensor, hidden_states: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        """Classifies crops.

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
        """Looks at places and classifies; see the class for inputs.

        Args:
          inputs: The inputs.
          training: Whether the model trains.
          num_steps: T; None for that of the configuration.

        Raises:
          InputError: A dtype or number of channels that cannot be used.
          ConfigError: Pyramids without ``pyramid_roots``, or a number of steps that the model cannot take.
        """
        inputs = {k: pixels.to_float(v, k) if k in (PROXY, IMAGE) else v for k, v in inputs.items()}
        seen = tf.reduce_all(tf.math.is_finite(inputs[PROXY]), axis=[1, 2, 3])
        proxy = where_valid(seen, inputs[PROXY])
        if training and self.jit_compile:  # without XLA a pixel that is not finite has ended the step
            inputs = {**inputs, IMAGE: tf.where(tf.math.is_finite(inputs[IMAGE]), inputs[IMAGE], 0.0)}
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
            shows=None if answers.shows is None else answers.shows[::count],
            entropy=-tf.reduce_sum(tf.exp(log_probabilities) * log_probabilities, axis=-1),
            valid=valid & seen,
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
            crops = self.dense_transformer(inputs[IMAGE], side_by_side)
            valid = tf.reduce_all(tf.math.is_finite(crops), axis=[1, 2, 3, 4])
        else:
            crops, valid, _ = self.localized_spatial_transformer(
                pixels.pyramid_features(inputs), side_by_side, roots=pixels.check_roots(cfg), channels=self.channels
            )
        found = tf.reduce_all(tf.math.is_finite(side_by_side), axis=[1, 2])
        crops = where_valid(valid, crops)
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

        It serves for another number of looks (``num_steps``), for larger images (``cells``, ``min_scale``,
        ``max_scale``, and ``proxy_size``) or to predict in another way (``num_samples``, ``pyramid_roots``).

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
        # Transformers that the user gave are kept; the model's own follow the configuration.
        own_layers = {
            name: layer for name in TRANSFORMERS if type(layer := getattr(self, name)) not in OWN_TRANSFORMERS
        }
        networks = {name: value for name, value in self._networks().items() if name not in changes}
        fields = {**self.config.to_dict(), **changes, **networks, FROZEN: frozen_parts(self)}
        known = {"dtype": self._dtype_config(), "image_set": self.image_set}
        other = type(self).from_config({**fields, **own_layers, **known})
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
        counted = weights > 0.0  # the terms of other images may be anything, NaN included
        shown = {f"kl_{t + 1}": terms.kl[:, t] for t in range(cfg.num_steps)}
        shown |= {"classification": terms.classification, "reconstruction": terms.reconstruction}
        for name, metric in self.term_metrics.items():
            metric.update_state(tf.where(counted, shown[name], 0.0), weights)
        total = terms.total(cfg.classification_weight, cfg.reconstruction_weight, cfg.kl_weight)
        return total + places.choice_surrogate(cfg, labels, outputs, terms.classification)

    def get_config(self) -> dict[str, Any]:
        """Every field of the configuration, the layers that cut crops, and networks that were given."""
        layers = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in TRANSFORMERS}
        image_set = {"image_set": None if self.image_set is None else self.image_set.to_dict()}
        return {**super().get_config(), **image_set, **layers, **self.config.to_dict(), **self._networks()}

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
        return super().from_config({**config, **layers, "pretrained": False})
