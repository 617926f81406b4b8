"""The proxy: the tiny image that says where to look. One recipe, for records, clients and the graph alike.

    image, upright and of the pyramid's colours and depth (:func:`tfvs.images.reading.normalize`)
      → laid over white where it has alpha
      → means over 2 × 2 pixels, rounded, as a pyramid's levels are, while both sides are at least 4 times the proxy's
      → means over whole numbers of pixels along each side that is still at least 4 times the proxy's
      → grey or colour → the kernel, in floating point, widened to the step it takes → 8 bits

Means and kernel are stated once, for NumPy and for TensorFlow; libvips makes the means of large images, streaming.
The kernel's arithmetic is Pillow's: https://github.com/python-pillow/Pillow, src/libImaging/Resample.c, without its
fixed point. Decoders use this module without TensorFlow, so only the graph's function imports it.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyvips

from tfvs.config import Config, option
from tfvs.data.records import TileIndex
from tfvs.errors import ImageError, InputError
from tfvs.images import reading
from tfvs.images.levels import open_level

if TYPE_CHECKING:
    import tensorflow as tf

# Name → half its width, in pixels of the coarser of the two images.
KERNELS = {"box": 0.5, "linear": 1.0, "cubic": 2.0, "lanczos3": 3.0}
BLOCK = 16  # rows that are made at once
GREYS = ("linear_light", "luma")
SOURCES = ("image", "other_image")
_REC_709 = (0.2126, 0.7152, 0.0722)
_REC_601 = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class ProxyRecipe(Config):
    """How an image becomes its proxy; records and exported models carry it."""

    height: int = option(32, "Height of the proxy, pixels.", at_least=1, at_most=4096)
    width: int = option(32, "Width of the proxy, pixels.", at_least=1, at_most=4096)
    channels: int = option(1, "Channels of the proxy: 1 (grey) or 3 (colour).", choices=(1, 3))
    kernel: str = option(
        "lanczos3", "Reduces the last level to the proxy, widened so that nothing aliases.", choices=tuple(KERNELS)
    )
    grey: str = option(
        "linear_light",
        "How colour becomes grey: luminance of linear light (Rec. 709), or luma of the coded values (Rec. 601).",
        choices=GREYS,
    )
    noise: float = option(0.0, "Standard deviation of Gaussian noise on the proxy, grey levels of 255.", at_least=0)
    keep: float = option(
        1.0, "Fraction of the proxy's pixels that are kept; the others become black.", above=0, at_most=1
    )
    source: str = option(
        "image", "What proxies are made from: the image itself, or another image given beside it.", choices=SOURCES
    )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels

    def obstacle(self) -> str:
        """Why a proxy cannot be made from an image alone as the records' were; empty where it can."""
        if self.source != "image":
            return "the model's proxies are made from other images than its pixels: send the proxy as well"
        if self.noise > 0 or self.keep < 1:
            return "the model's proxies have random noise or dropped pixels, as the records alone hold them"
        return ""


def make_proxy(image: pyvips.Image, recipe: ProxyRecipe, *, seed: str = "") -> np.ndarray:
    """The proxy of an image. The whole image fills the whole proxy: proportions are not kept.

    Args:
      image: Upright, in the colours and depth of its pyramid (:func:`tfvs.images.reading.normalize`), or a level of it.
      recipe: Recipe of the proxy.
      seed: Hexadecimal digits from which noise and dropped pixels are drawn, the same for the same image.

    Returns:
      ``[h, w, c]`` uint8.

    Raises:
      ImageError: The image cannot be decoded, or has bands that are no colour.
    """
    with reading.decoding():
        reduced = _reduce(_opaque(image), recipe)
        pixels = reduced.numpy().reshape(reduced.height, reduced.width, reduced.bands)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[-1] not in (1, 3):
        raise ImageError(
            "A proxy cannot be made of this image",
            expected="8 or 16 bits, grey or colour",
            received=f"{pixels.dtype}, {pixels.shape[-1]} bands",
        )
    small = _resample(pixels / np.float64(np.iinfo(pixels.dtype).max), recipe, np)
    return disturb(np.rint(small).astype(np.uint8), recipe, seed)


def proxy_from_pyramid(
    path: str | os.PathLike[str],
    index: TileIndex,
    recipe: ProxyRecipe,
    *,
    seed: str = "",
    max_pixels: int = reading.MAX_PIXELS,
) -> np.ndarray:
    """The proxy of a pyramid, from its coarsest level that is large enough, so that few pixels are decoded.

    Args:
      path: Path of the pyramid, on this machine.
      index: Its tile index.
      recipe: Recipe of the proxy.
      seed: See :func:`make_proxy`.
      max_pixels: Largest width times height that is opened.

    Returns:
      ``[h, w, c]`` uint8.

    Raises:
      ImageError: The level cannot be opened or decoded.
    """
    level = level_for_proxy([(width, height) for width, height, *_ in index.levels], recipe)
    return make_proxy(reading.normalize(open_level(path, index, level, max_pixels=max_pixels)), recipe, seed=seed)


def level_for_proxy(sizes: Sequence[tuple[int, int]], recipe: ProxyRecipe) -> int:
    """The coarsest level whose proxy is that of the whole image: it has at least two pixels along each of the proxy's.

    Args:
      sizes: Width and height of each level, pixels, the image itself first.
      recipe: Recipe of the proxy.
    """
    large = [i for i, (width, height) in enumerate(sizes) if width >= 2 * recipe.width and height >= 2 * recipe.height]
    return large[-1] if large else 0


def proxy_from_other_image(
    path: str | os.PathLike[str], recipe: ProxyRecipe, *, seed: str = "", max_pixels: int = reading.MAX_PIXELS
) -> np.ndarray:
    """The proxy from another image than the one to classify; of a JPEG no more is decoded than the proxy takes.

    Args:
      path: Path of the other image.
      recipe: Recipe of the proxy.
      seed: See :func:`make_proxy`.
      max_pixels: Largest width times height that is opened.

    Returns:
      ``[h, w, c]`` uint8.

    Raises:
      ImageError: It cannot be opened or decoded.
    """
    image = reading.open_image(path, max_pixels=max_pixels)
    spare = min(image.width // (4 * recipe.width), image.height // (4 * recipe.height))
    shrink = max(step for step in reading.JPEG_SHRINKS if step <= max(1, spare))
    if shrink > 1:
        image = reading.open_image(path, max_pixels=max_pixels, shrink=shrink)
    return make_proxy(reading.normalize(image), recipe, seed=seed)


def make_proxy_in_graph(image: tf.Tensor, recipe: ProxyRecipe, *, levels: int | tf.Tensor) -> tf.Tensor:
    """As :func:`make_proxy`, in TensorFlow.

    Args:
      image: ``[H, W, C]`` float32 in [0, 1], of sides that are not known beforehand.
      recipe: Recipe of the proxy; noise and dropped pixels are left out.
      levels: Greatest value of the image's samples before they were divided by it: 255, or 65535 for 16 bits.

    Returns:
      ``[h, w, c]`` float32: grey levels over 255.
    """
    import tensorflow as tf

    top = tf.cast(levels, tf.float32)
    if image.shape[-1] in (2, 4):
        image = image[..., :-1] * image[..., -1:] + (1.0 - image[..., -1:])
    bands = image.shape[-1]
    pixels = tf.round(image * top)[tf.newaxis]
    (pixels,) = tf.while_loop(
        lambda level: tf.reduce_all(tf.shape(level)[1:3] >= [4 * recipe.height, 4 * recipe.width]),
        lambda level: (tf.floor(tf.nn.avg_pool2d(level, 2, 2, "VALID") + 0.5),),
        [pixels],
        shape_invariants=[tf.TensorShape([1, None, None, bands])],
    )
    pixels = pixels[0]
    for axis, target in enumerate((recipe.height, recipe.width)):
        factor = tf.maximum(1, tf.shape(pixels)[axis] // (2 * target))
        count = tf.shape(pixels)[axis] // factor
        moved = pixels if axis == 0 else tf.transpose(pixels, [1, 0, 2])
        groups = tf.reshape(moved[: count * factor], [count, factor, tf.shape(moved)[1], bands])
        sums = tf.reduce_sum(tf.cast(groups, tf.int32), axis=1)
        means = tf.cast((sums + factor // 2) // factor, tf.float32)
        pixels = means if axis == 0 else tf.transpose(means, [1, 0, 2])
    small = tf.round(_resample(pixels / top, recipe, tf))
    return tf.ensure_shape(small, recipe.shape) / 255.0


def encode_png(pixels: np.ndarray) -> bytes:
    """``[h, w, c]`` uint8 → PNG, as records hold proxies."""
    from PIL import Image  # faster than libvips on so few pixels

    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def halve(image: pyvips.Image) -> pyvips.Image:
    """The next level of a pyramid: means over 2 × 2 pixels, halves rounded up, an odd last row or column left out."""
    wide = {"uchar": "ushort", "ushort": "uint"}.get(image.format)
    if wide is None:
        raise ImageError("Samples of this kind have no levels", expected="8 or 16 bits", received=image.format)
    even = image.crop(0, 0, image.width // 2 * 2, image.height // 2 * 2)
    sums = (even.cast(wide) << 2).shrink(2, 2)  # times 4, so that libvips has nothing to round
    return sums.linear(0.25, 0.5).cast(image.format)


def _opaque(image: pyvips.Image) -> pyvips.Image:
    """Laid over white where it has alpha; of bands that are no colour the first."""
    if image.bands not in (2, 4):
        return image
    if image.interpretation == "multiband":
        return image[:3] if image.bands == 4 else image[0]
    top = 65535 if image.format == "ushort" else 255
    return image.flatten(background=[top] * (image.bands - 1), max_alpha=top).cast(image.format)


def _reduce(image: pyvips.Image, recipe: ProxyRecipe) -> pyvips.Image:
    """All means; each side is then less than 4 times the proxy's."""
    while image.width >= 4 * recipe.width and image.height >= 4 * recipe.height:
        image = halve(image)
    across, down = max(1, image.width // (2 * recipe.width)), max(1, image.height // (2 * recipe.height))
    if across > 1 or down > 1:
        whole = image.crop(0, 0, image.width // across * across, image.height // down * down)
        image = (
            whole.cast("float").shrink(across, down).linear(1, 0.5).cast(image.format)
        )  # the mean of whole numbers would be inexact
    return image


def _resample(pixels: Any, recipe: ProxyRecipe, lib: ModuleType) -> Any:
    """Pixels ``[H, W, C]`` in [0, 1] → ``[h, w, c]`` in [0, 255], not rounded; NumPy or TensorFlow."""
    high = _along(to_channels(pixels, recipe, lib), recipe.height, recipe.kernel, lib)  # [h, W, C]
    small = lib.transpose(_along(lib.transpose(high, (1, 0, 2)), recipe.width, recipe.kernel, lib), (1, 0, 2))
    return lib.minimum(lib.maximum(small, 0.0), 1.0) * 255.0


def _along(pixels: Any, count: int, kernel: str, lib: ModuleType) -> Any:
    """``[size, …]`` → ``[count, …]`` by the kernel. NumPy multiplies only pixels near those that it makes."""
    if lib is not np:
        size = lib.shape(pixels)[0]
        return lib.tensordot(_weights(lib.range(count), lib.range(size), size, count, kernel, lib), pixels, 1)
    size = pixels.shape[0]
    step = size / count
    reach = KERNELS[kernel] * max(step, 1.0)
    made = []
    for begin in range(0, count, BLOCK):
        end = min(begin + BLOCK, count)
        first = max(math.floor((begin + 0.5) * step - reach), 0)
        last = min(math.ceil((end - 0.5) * step + reach), size)
        new, old = np.arange(begin, end, dtype=np.int64), np.arange(first, last, dtype=np.int64)
        made.append(np.tensordot(_weights(new, old, size, count, kernel, np), pixels[first:last], 1))
    return np.concatenate(made)


def to_channels(pixels: Any, recipe: ProxyRecipe, lib: ModuleType) -> Any:
    """Grey or colour by the recipe, of pixels ``[H, W, 1 or 3]`` in [0, 1]; NumPy or TensorFlow."""
    bands = pixels.shape[-1]
    if bands == recipe.channels:
        return pixels
    if bands == 1:
        return lib.repeat(pixels, 3, axis=-1)
    if bands != 3:
        raise InputError("A proxy is made of grey or colour", expected="1 or 3 bands", received=bands)
    if recipe.grey == "luma":
        return sum(weight * pixels[..., i : i + 1] for i, weight in enumerate(_REC_601))
    return code_light(luminance(pixels, lib), lib)


def luminance(pixels: Any, lib: ModuleType) -> Any:
    """sRGB ``[..., 3]`` in [0, 1] → linear light ``[..., 1]``, Rec. 709; NumPy or TensorFlow."""
    linear = lib.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    return sum(weight * linear[..., i : i + 1] for i, weight in enumerate(_REC_709))


def code_light(light: Any, lib: ModuleType) -> Any:
    """Linear light → sRGB's code, both in [0, 1]; NumPy or TensorFlow."""
    return lib.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1.0 / 2.4) - 0.055)


def _weights(new: Any, old: Any, size: Any, count: int, kernel: str, lib: ModuleType) -> Any:
    """``[new, old]``: what some of ``size`` pixels give to some of ``count``; every row sums to 1."""
    # Distance of centres in pixels of the coarser image, from whole numbers so that both libraries get the same.
    twice = (2 * old[None] + 1) * count - (2 * new[:, None] + 1) * size
    if lib is np:
        x = twice / (2.0 * max(size, count))
    else:
        x = lib.cast(twice, lib.float32) / lib.cast(2 * lib.maximum(size, count), lib.float32)
    values = _kernel(x, kernel, lib)
    return values / lib.sum(values, axis=1, keepdims=True) if lib is np else values / lib.reduce_sum(values, 1, True)


def _kernel(x: Any, name: str, lib: ModuleType) -> Any:
    if name == "box":
        return lib.where((x > -0.5) & (x <= 0.5), lib.ones_like(x), lib.zeros_like(x))
    x = abs(x)
    if name == "linear":
        return lib.maximum(1.0 - x, 0.0)
    if name == "cubic":  # Keys, a = -1/2
        near, far = (1.5 * x - 2.5) * x * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
        values = lib.where(x < 1.0, near, far)
    else:
        safe = math.pi * lib.maximum(x, 1e-6)
        values = 3.0 * lib.sin(safe) * lib.sin(safe / 3.0) / (safe * safe)
    return lib.where(x < KERNELS[name], values, lib.zeros_like(x))


def disturb(pixels: np.ndarray, recipe: ProxyRecipe, seed: str) -> np.ndarray:
    """Adds noise to a proxy, then keeps some of its pixels and blackens the others.

    Args:
      pixels: ``[h, w, c]`` uint8, of the recipe's size.
      recipe: Says how much noise, and which share of the pixels is kept.
      seed: Hexadecimal digits from which both are drawn.

    Returns:
      ``[h, w, c]`` uint8.
    """
    if recipe.noise == 0 and recipe.keep == 1:
        return pixels
    random = np.random.default_rng(int(seed[:16] or "0", 16))
    noisy = pixels + random.normal(0.0, 1.0, pixels.shape) * recipe.noise
    count = recipe.height * recipe.width
    order = random.permutation(count).reshape(recipe.height, recipe.width, 1)
    kept = max(1, round(recipe.keep * count))
    return np.where(order < kept, np.clip(np.rint(noisy), 0, 255), 0).astype(np.uint8)
