"""Inputs of the saccader: checks of a dense image, of a pyramid's features and of the layers that read them."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.data import example
from tfvs.data.inputs import MIRRORED, PASTE_BOXES, PASTES
from tfvs.errors import InputError
from tfvs.images.pastes import mirror_boxes, mirror_crops, paste_over
from tfvs.layers.shapes import known
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.ops.strings import pack_strings, unpack_strings

PROXY = "proxy"
IMAGE = "image"

Shape = tuple[int | None, ...]


def check_shapes(shapes: Mapping[str, Shape], config: SaccaderConfig, proxy_shape: Shape | None = None) -> None:
    """Checks the shapes of the inputs.

    Args:
      shapes: Input name → shape.
      config: Configuration of the saccader.
      proxy_shape: ``(h, w, c)`` that the model was built with; None before it is built.

    Raises:
      InputError: A shape that cannot work, or an input that is missing.
    """
    proxy = shapes.get(PROXY)
    if proxy is None or len(proxy) != 4 or 0 in proxy[1:] or (proxy_shape is None and None in proxy[1:]):
        raise InputError(
            f"The input {PROXY!r} cannot be used",
            expected="[B, h, w, c] with h, w and c known and above 0",
            received=f"inputs {sorted(shapes)}" if proxy is None else tuple(proxy),
        )
    if proxy_shape is None:
        config.check_proxy(int(proxy[1] or 0), int(proxy[2] or 0))
    elif any(size not in (None, built) for size, built in zip(proxy[1:], proxy_shape, strict=True)):
        raise InputError(
            "The proxy has another size than those the model was built with",
            expected=f"[B, {', '.join(map(str, proxy_shape))}]",
            received=tuple(proxy),
            mend="Resize the proxies, or take model.adapted(proxy_size=…) where the posterior is categorical",
        )
    if IMAGE in shapes:
        _check_image(shapes[IMAGE], config)
        return
    missing = sorted(set(example.PYRAMID_FEATURES) - set(shapes))
    if missing:
        raise InputError(
            "There is nothing to look at",
            expected=f"an input {IMAGE!r} [B, H, W, C], or the features of a pyramid",
            received=f"inputs {sorted(shapes)}, without {missing}",
            mend="tfvs.data.example.parse_examples gives the features of a pyramid",
        )


def channels_of(shapes: Mapping[str, Shape], config: SaccaderConfig) -> int:
    """Channels of the crops, from shapes that were checked: those of the image, and for pyramids the proxy's."""
    own = shapes[IMAGE][-1] if IMAGE in shapes else config.channels or shapes[PROXY][-1]
    return known(own, "the channels")


def _check_image(image: Shape, config: SaccaderConfig) -> None:
    if len(image) != 4 or not image[-1]:
        raise InputError(f"The input {IMAGE!r} cannot be used", expected="[B, H, W, C], C known", received=tuple(image))
    if any(side is not None and side < config.crop_size for side in image[1:3]):
        raise InputError(
            "A crop is larger than the image",
            expected=f"at least crop_size = {config.crop_size} pixels per side",
            received=tuple(image),
            mend="Make crop_size smaller",
        )
    if config.channels is not None and image[-1] != config.channels:
        raise InputError("The image's channels differ", expected=f"{config.channels} channels", received=tuple(image))


def to_float(pixels: tf.Tensor, name: str) -> tf.Tensor:
    """Pixels as float32 in [0, 1]: uint8 over 255, uint16 over 65535, floats as they are.

    Raises:
      InputError: Another dtype.
    """
    if pixels.dtype.is_floating:
        return tf.cast(pixels, tf.float32)
    if pixels.dtype in (tf.uint8, tf.uint16):
        return tf.cast(pixels, tf.float32) / float(pixels.dtype.max)
    raise InputError(f"The dtype of {name!r} cannot be used", expected="floats, uint8, uint16", received=pixels.dtype)


def image_sizes(inputs: Mapping[str, tf.Tensor], batch: tf.Tensor) -> tf.Tensor:
    """``[B, 2]`` int32 height and width of the full-resolution images, pixels; 1 where a record says less."""
    if IMAGE in inputs:
        return tf.tile(tf.shape(inputs[IMAGE])[tf.newaxis, 1:3], [batch, 1])
    size = tf.stack([inputs[example.HEIGHT], inputs[example.WIDTH]], axis=-1)
    return tf.cast(tf.clip_by_value(size, 1, tf.int32.max), tf.int32)


def pack_features(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The inputs with strings packed as bytes, fit to be carried to several devices."""
    return {k: pack_strings(v) if v.dtype == tf.string else v for k, v in inputs.items()}


def restore_feature(name: str, value: tf.Tensor) -> tf.Tensor:
    """A pyramid feature as ``parse_examples`` gave it: strings may have been packed, numbers be of another type."""
    if name in example.STRING_FEATURES:
        return value if value.dtype == tf.string else unpack_strings(value)
    return tf.cast(value, tf.int64)


def boxes_to_read(inputs: Mapping[str, tf.Tensor], boxes: tf.Tensor) -> tf.Tensor:
    """Boxes ``[B, T, 4]`` in the image as it is, of those in the image as it is seen: mirrored, where asked for."""
    return mirror_boxes(boxes, _mirrored(inputs)) if MIRRORED in inputs else boxes


def as_seen(inputs: Mapping[str, tf.Tensor], crops: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Crops as the optional inputs want them: mirrored, and with pastes laid over them.

    Args:
      inputs: Inputs of the saccader.
      crops: ``[B, T, S, S, C]`` float32, read at :func:`boxes_to_read`.
      boxes: ``[B, T, 4]`` float32 in the image as it is seen.
    """
    if MIRRORED in inputs:
        crops = mirror_crops(crops, _mirrored(inputs))
    if PASTES in inputs:
        crops = paste_over(crops, boxes, inputs[PASTES], inputs[PASTE_BOXES])
    return crops


def _mirrored(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return tf.cast(inputs[MIRRORED], tf.float32) > 0.5


def check_transformer(layer: keras.layers.Layer, config: SaccaderConfig) -> keras.layers.Layer:
    """A transformer that fits the configuration, which is what an export tells clients of the crops.

    Raises:
      ConfigError: It cuts other crops than the configuration says.
    """
    rule = {name: getattr(config, name) for name in ("crop_size", "margin_px", "max_level")}
    for name, expected in {**rule, "fill_value": 0.0}.items():
        require(
            getattr(layer, name, expected) == expected,
            f"{name} of {type(layer).__name__} differs from the configuration",
            expected=expected,
            received=getattr(layer, name, expected),
        )
    return layer


def pyramid_features(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The features of a pyramid among the inputs, as ``parse_examples`` gave them."""
    return {name: restore_feature(name, inputs[name]) for name in example.PYRAMID_FEATURES}


def check_roots(config: SaccaderConfig) -> tuple[str, ...]:
    """The folders that pyramids may lie in.

    Raises:
      ConfigError: There is none.
    """
    require(
        bool(config.pyramid_roots),
        "Pyramids need a root",
        expected="pyramid_roots=(folder, …) in the configuration",
        received=(),
    )
    return config.pyramid_roots
