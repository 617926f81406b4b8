"""Crops of ordinary images with libvips, for clients; pyramids have tfvs.images.crops.vips_reader."""

from __future__ import annotations

import numpy as np
import pyvips

from tfvs.images import reading
from tfvs.ops.crop_rule import numpy_boxes, numpy_crop

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
        pixels = self._image.crop(x0, y0, x1 - x0, y1 - y0).numpy().reshape(y1 - y0, x1 - x0, self._image.bands)
        top = np.float32(np.iinfo(pixels.dtype).max)
        whole = pixels.astype(np.uint32)
        for _ in range(level):  # rounded at each level, half up, as the levels of a pyramid file are
            whole = (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2] + 2) // 4
        return whole.astype(np.float32) / top


def cut_crops(
    levels: PlainLevels, boxes: np.ndarray, crop_size: int, *, margin_px: int = 1, max_level: int | None = None
) -> np.ndarray:
    """Cuts square crops by the crop rule.

    Args:
      levels: The image.
      boxes: ``[T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].
      crop_size: Side S, pixels.
      margin_px: See :func:`tfvs.ops.crop_rule.taps`.
      max_level: See :func:`tfvs.ops.crop_rule.choose_level`.

    Returns:
      ``[T, S, S, C]`` float32, zero outside the image.

    Raises:
      ImageError: The image cannot be decoded.
      InputError: The boxes have another shape or are not finite.
    """
    with reading.decoding():
        return np.stack(
            [
                numpy_crop(levels.read, levels.sizes, box, crop_size, margin_px=margin_px, max_level=max_level)
                for box in numpy_boxes(boxes)
            ]
        )
