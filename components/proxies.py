"""The proxy: a tiny image made from a coarse level of the pyramid, or from another image."""

from __future__ import annotations

import io

import numpy as np
import pyvips
from PIL import Image

from components.options import PrepareOptions
from tfvs.data.records import TileIndex
from tfvs.images import reading

KERNELS = {
    "box": Image.Resampling.BOX,
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}
# Images are reduced by whole factors first, down to at least this many times the proxy's size.
_SPARE = 4


def proxy_from_pyramid(path: str, index: TileIndex, options: PrepareOptions, seed: str) -> bytes:
    """Makes the proxy from the coarsest level that is at least twice as large, so that few pixels are decoded.

    Args:
      path: Of the pyramid, on this machine.
      index: Its tile index.
      options: Size, channels, kernel and noise of the proxy.
      seed: What the noise is drawn from, the same for the same image.

    Returns:
      PNG.

    Raises:
      ImageError: The level cannot be opened.
      pyvips.Error: It cannot be decoded.
    """
    page = 0
    for number, (width, height, *_) in enumerate(index.levels):
        if width >= 2 * options.proxy_width and height >= 2 * options.proxy_height:
            page = number
    return make_proxy(reading.open_image(path, page=page, max_pixels=options.max_pixels), options, seed)


def open_for_proxy(path: str, options: PrepareOptions) -> pyvips.Image:
    """Opens another image that serves as the proxy; of a JPEG no more is decoded than the proxy takes.

    Raises:
      ImageError: It cannot be opened.
    """
    image = reading.open_image(path, max_pixels=options.max_pixels)
    shrink = max(step for step in reading.JPEG_SHRINKS if step <= max(1, _factor(image, options)))
    return image if shrink == 1 else reading.open_image(path, max_pixels=options.max_pixels, shrink=shrink)


def make_proxy(image: pyvips.Image, options: PrepareOptions, seed: str) -> bytes:
    """Any image → proxy, PNG. The whole image fills the whole proxy: proportions are not kept.

    Args:
      image: An image of any size.
      options: Size, channels, kernel and noise of the proxy.
      seed: What the noise is drawn from.

    Returns:
      PNG of ``[proxy_height, proxy_width, proxy_channels]`` uint8.
    """
    size = (options.proxy_width, options.proxy_height)
    factor = _factor(image, options)
    image = reading.normalize(image, bands=options.proxy_channels, dtype="uint8")
    if factor > 1:  # by libvips, which streams; the rest by Pillow, which is faster on few pixels
        image = image.shrink(factor, factor)
    pixels = image.numpy().reshape(image.height, image.width, image.bands)
    small = Image.fromarray(pixels[..., 0] if options.proxy_channels == 1 else pixels).resize(
        size, KERNELS[options.proxy_kernel]
    )
    if options.proxy_keep < 1 or options.proxy_noise > 0:
        small = Image.fromarray(_disturb(np.asarray(small), options, seed))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG")
    return buffer.getvalue()


def _factor(image: pyvips.Image, options: PrepareOptions) -> int:
    """Whole factor to reduce an image by first."""
    return min(image.width // (_SPARE * options.proxy_width), image.height // (_SPARE * options.proxy_height))


def _disturb(pixels: np.ndarray, options: PrepareOptions, seed: str) -> np.ndarray:
    """Adds noise, then keeps some pixels and blackens the others; ``[h, w]`` or ``[h, w, 3]`` uint8."""
    random = np.random.default_rng(int(seed[:16] or "0", 16))
    height, width = pixels.shape[:2]
    noisy = pixels + random.normal(0.0, 1.0, pixels.shape) * options.proxy_noise
    order = random.permutation(height * width).reshape(height, width, *[1] * (pixels.ndim - 2))
    kept = max(1, round(options.proxy_keep * height * width))
    return np.where(order < kept, np.clip(np.rint(noisy), 0, 255), 0).astype(np.uint8)
