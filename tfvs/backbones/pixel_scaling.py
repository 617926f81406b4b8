"""How networks expect their pixels: the range, means and order of channels that each was trained with."""

from __future__ import annotations

import tensorflow as tf

from tfvs.config import require

# Means and standard deviations of ImageNet in [0, 255] (blue, green, red) and in [0, 1] (red, green, blue).
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN, _TORCH_STDDEV = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALINGS = ("unit", "pixels", "symmetric", "caffe", "torch")
# Beginnings of the names of networks, without signs and capitals; the first that fits counts.
_KNOWN = (
    ("efficientnet", "pixels"),
    ("mobilenetv3", "pixels"),
    ("convnext", "pixels"),
    ("mobilenet", "symmetric"),
    ("inception", "symmetric"),
    ("xception", "symmetric"),
    ("nasnet", "symmetric"),
    ("resnet50v2", "symmetric"),
    ("resnet101v2", "symmetric"),
    ("resnet152v2", "symmetric"),
    ("resnet", "caffe"),
    ("vgg", "caffe"),
    ("densenet", "torch"),
)


def scaling_of(name: str) -> str:
    """The scaling of a network of ``keras.applications`` or :mod:`tfvs.backbones`, by its name; ``"unit"`` of others.

    >>> scaling_of("EfficientNetV2B0"), scaling_of("resnet50"), scaling_of("my_network")
    ('pixels', 'caffe', 'unit')
    """
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return next((scaling for beginning, scaling in _KNOWN if plain.startswith(beginning)), "unit")


def scale_pixels(pixels: tf.Tensor, scaling: str) -> tf.Tensor:
    """Pixels as a network expects them.

    Args:
      pixels: ``[..., 3]`` float in [0, 1], red, green, blue; any number of channels for the first three scalings.
      scaling: ``"unit"``: as they are; ``"pixels"``: in [0, 255]; ``"symmetric"``: in [-1, 1]; ``"caffe"``: blue,
        green, red in [0, 255] less ImageNet's means; ``"torch"``: less ImageNet's means, over its standard deviations.

    Returns:
      As ``pixels``.

    Raises:
      ConfigError: No such scaling.
    """
    require(scaling in SCALINGS, "There is no such scaling of pixels", expected=SCALINGS, received=repr(scaling))
    if scaling == "pixels":
        return pixels * 255.0
    if scaling == "symmetric":
        return pixels * 2.0 - 1.0
    if scaling == "caffe":
        return pixels[..., ::-1] * 255.0 - tf.constant(_CAFFE_MEAN, pixels.dtype)
    if scaling == "torch":
        return (pixels - tf.constant(_TORCH_MEAN, pixels.dtype)) / tf.constant(_TORCH_STDDEV, pixels.dtype)
    return pixels
