"""Crops of ordinary images, cut by a client by the rules of the graph; pyramids have tfvs.images.crops.vips_reader."""

from __future__ import annotations

import numpy as np
import pyvips

from tfvs.errors import ImageError
from tfvs.images import reading

Window = tuple[int, int, int, int]  # y0, x0, y1, x1, pixels of a level


class PlainLevels:
    """An ordinary image; coarser levels are means over 2 × 2 pixels, made where they are read.

    Args:
      image: Upright, with the channels wanted.

    Attributes:
      sizes: ``[L, 2]`` height and width of each level, finest first.
    """

    def __init__(self, image: pyvips.Image) -> None:
        self._image = image
        count = max(1, int(np.log2(min(image.height, image.width))) + 1)
        self.sizes = np.array([(image.height >> k, image.width >> k) for k in range(count)])

    def read(self, level: int, window: Window) -> np.ndarray:
        """Pixels of a window."""
        y0, x0, y1, x1 = (edge << level for edge in window)
        pixels = _pixels(self._image, (y0, x0, y1, x1))
        step = 1 << level
        return pixels.reshape(pixels.shape[0] // step, step, pixels.shape[1] // step, step, -1).mean((1, 3))


def cut_crops(levels: PlainLevels, boxes: np.ndarray, crop_size: int) -> np.ndarray:
    """Cuts square crops.

    Args:
      levels: The image.
      boxes: ``[T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].
      crop_size: Side S, pixels.

    Returns:
      ``[T, S, S, C]`` float32, zero outside the image.

    Raises:
      ImageError: The image cannot be decoded.
    """
    try:
        return np.stack([_cut(levels, box.astype(np.float64), crop_size) for box in boxes]).astype(np.float32)
    except pyvips.Error as error:
        raise ImageError("The image cannot be decoded", received=reading.reason(error)) from error


def _cut(levels: PlainLevels, box: np.ndarray, crop_size: int) -> np.ndarray:
    pitches = np.max((box[2:] - box[:2]) * levels.sizes, axis=1) / crop_size
    level = max(int(np.sum(pitches >= 1.0)) - 1, 0)
    size = levels.sizes[level]
    rows = _positions(box[0], box[2], size[0], crop_size)
    columns = _positions(box[1], box[3], size[1], crop_size)
    (y0, y1), (x0, x1) = _bounds(rows, size[0]), _bounds(columns, size[1])
    window = levels.read(level, (y0, x0, y1, x1))
    return np.einsum("ih,hwc,jw->ijc", _weights(rows, y0, y1), window, _weights(columns, x0, x1))


def _positions(start: float, stop: float, size: int, count: int) -> np.ndarray:
    return (start + (np.arange(count) + 0.5) / count * (stop - start)) * size


def _bounds(positions: np.ndarray, size: int) -> tuple[int, int]:
    first = int(np.clip(np.floor(positions.min() - 0.5), 0, size - 1))
    return first, int(np.clip(np.floor(positions.max() - 0.5) + 2, first + 1, size))


def _weights(positions: np.ndarray, first: int, stop: int) -> np.ndarray:
    """Hat functions of eq. 7 between positions and the pixels ``first … stop - 1``."""
    centres = np.arange(first, stop) + 0.5
    return np.maximum(0.0, 1.0 - np.abs(positions[:, None] - centres))


def _pixels(image: pyvips.Image, window: Window) -> np.ndarray:
    y0, x0, y1, x1 = window
    region = image.crop(x0, y0, x1 - x0, y1 - y0).numpy().reshape(y1 - y0, x1 - x0, image.bands)
    return region.astype(np.float32) / (65535.0 if region.dtype == np.uint16 else 255.0)
