"""Proxies made by a client, as the records of the training set have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvips

from tfvs.data.example import TileIndex
from tfvs.errors import ImageError
from tfvs.images import reading

KERNEL = "lanczos3"


def proxy_from_pyramid(path: Path, index: TileIndex, shape: tuple[int, int, int]) -> np.ndarray:
    """From the coarsest level that is at least twice as large, so that few pixels are decoded.

    Args:
      path: Of the pyramid.
      index: Its tile index.
      shape: Height, width and channels of the proxy.

    Returns:
      ``[h, w, c]`` float32 in [0, 1].

    Raises:
      ImageError: The level cannot be decoded.
    """
    height, width, _ = shape
    level = 0
    for number, (level_width, level_height, *_) in enumerate(index.levels):
        if level_width >= 2 * width and level_height >= 2 * height:
            level = number
    return make_proxy(_open_level(path, index, level), shape)


def _open_level(path: Path, index: TileIndex, level: int) -> pyvips.Image:
    """A level by its size: others keep levels as SubIFDs, and pages of thumbnails and labels between them."""
    base = reading.open_image(path)
    if level == 0:
        return base
    options = {"fail_on": "error", "access": "sequential", "revalidate": True}
    children = base.get("n-subifds") if base.get_typeof("n-subifds") else 0
    places = [{"subifd": i} for i in range(children)] or [{"page": i} for i in range(1, base.get("n-pages"))]
    try:
        images = (pyvips.Image.tiffload(str(path), **place, **options) for place in places)
        return next(image for image in images if (image.width, image.height) == index.levels[level][:2])
    except (StopIteration, pyvips.Error) as error:
        raise ImageError("A level of the pyramid cannot be opened", received=f"level {level} of {path}") from error


def make_proxy(image: pyvips.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """From a whole image: means over 2 × 2 pixels while it is four times as large, then the kernel.

    Args:
      image: Any image; the whole of it fills the whole proxy.
      shape: Height, width and channels of the proxy.

    Returns:
      ``[h, w, c]`` float32 in [0, 1].

    Raises:
      ImageError: It cannot be decoded.
    """
    height, width, channels = shape
    try:
        small = reading.normalize(image, dtype="uint8")
        factor = 1
        while small.width // (2 * factor) >= 2 * width and small.height // (2 * factor) >= 2 * height:
            factor *= 2
        if factor > 1:
            small = small.shrink(factor, factor)
        small = reading.normalize(small, bands=channels)
        small = small.resize(width / small.width, vscale=height / small.height, kernel=KERNEL)
        pixels = small.numpy().reshape(height, width, channels)
    except pyvips.Error as error:
        raise ImageError("The image cannot be decoded", received=reading.reason(error)) from error
    return pixels.astype(np.float32) / 255.0
