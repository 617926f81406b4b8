"""Crops with libvips, for clients that keep their pixels: ask the model where to look, then send only that.

The crop rule is :func:`tfvs.ops.crop_rule.numpy_crop`, so that a crop cut here and one cut by the server agree.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pyvips

from tfvs.errors import ImageError, InputError
from tfvs.images import reading
from tfvs.images.levels import level_numbers
from tfvs.images.tiff.tile_index import read_index
from tfvs.ops.crop_rule import MAX_PITCH, numpy_boxes, numpy_crop, numpy_level


class _Handle(NamedTuple):
    stamp: tuple[int, int]
    sizes: np.ndarray  # [L, 2] height, width
    levels: list[pyvips.Image]
    scale: float

    def read(self, level: int, window: tuple[int, int, int, int]) -> np.ndarray:
        """Pixels ``[h, w, C]`` of a window of a level."""
        image, (y0, x0, y1, x1) = self.levels[level], window
        # A region computes in this thread: faster for small windows, and without libvips' worker threads, which a
        # forked child lacks.
        region = pyvips.Region.new(image).fetch(x0, y0, x1 - x0, y1 - y0)
        dtype = np.uint8 if image.format == "uchar" else np.uint16
        return np.frombuffer(region, dtype).reshape(y1 - y0, x1 - x0, image.bands)


class VipsReader:
    """Reads crops of pyramids by path.

    Safe to use from many threads: each has handles of its own. Safe to use in a forked child, also of a parent that has
    read before: it opens files anew and waits for no thread of its parent. Files replaced since they were opened are
    noticed by size and modification time and opened again.

    Args:
      crop_size: Side of the crops, pixels.
      margin_px: See :func:`tfvs.ops.crop_rule.taps`; a model's description says which it was trained with.
      max_level: See :func:`tfvs.ops.crop_rule.choose_level`; likewise.
      root: If given, paths are relative to it and must lie under it.
      max_open: Pyramids kept open by each thread.
      max_pixels: Largest width times height, pixels.

    Raises:
      InputError: A size is out of range.
    """

    def __init__(
        self,
        crop_size: int,
        *,
        margin_px: int = 1,
        max_level: int | None = None,
        root: str | os.PathLike[str] | None = None,
        max_open: int = 16,
        max_pixels: int = 20_000_000_000,
    ) -> None:
        if crop_size < 1 or margin_px < 0 or max_open < 1 or (max_level is not None and max_level < 0):
            raise InputError(
                "The reader's sizes are out of range",
                expected="crop_size and max_open of at least 1, margin_px and max_level of at least 0",
                received=f"crop_size={crop_size}, margin_px={margin_px}, max_level={max_level}, max_open={max_open}",
            )
        self._crop_size, self._margin_px, self._max_level, self._root = crop_size, margin_px, max_level, root
        self._max_open, self._max_pixels = max_open, max_pixels
        self._local = threading.local()

    def read_crops(self, path: str | os.PathLike[str], boxes: np.ndarray) -> np.ndarray:
        """Reads the crops of one image.

        Args:
          path: A pyramid TIFF.
          boxes: ``[T, 4]`` float, ``[y0, x0, y1, x1]`` in [0, 1].

        Returns:
          ``[T, S, S, C]`` float32 in [0, 1], zero outside the image.

        Raises:
          ImageError: The file is refused, damaged, or has no level fit for these boxes.
          InputError: The boxes have another shape or are not finite.
        """
        boxes = numpy_boxes(boxes)
        handle = self._open(path)
        try:
            return np.stack([self._crop(handle, box) for box in boxes])
        except pyvips.Error as error:
            self._handles().clear()
            raise ImageError("The pyramid cannot be decoded", received=f"{path}: {reading.reason(error)}") from error

    def _handles(self) -> OrderedDict[str, _Handle]:
        if getattr(self._local, "process", None) != os.getpid():
            self._local.process, self._local.handles = os.getpid(), OrderedDict()
        return self._local.handles

    def _open(self, path: str | os.PathLike[str]) -> _Handle:
        real = reading.resolve_under(path, self._root)
        try:
            status = os.stat(real)
        except OSError as error:
            raise ImageError("There is no such pyramid", received=str(path), mend="Check the path") from error
        stamp = (status.st_size, status.st_mtime_ns)
        handles = self._handles()
        handle = handles.pop(str(real), None)
        if handle is None or handle.stamp != stamp:
            handle = self._load(str(real), stamp)
        handles[str(real)] = handle
        while len(handles) > self._max_open:
            handles.popitem(last=False)
        return handle

    def _load(self, path: str, stamp: tuple[int, int]) -> _Handle:
        index = read_index(path)
        sizes = np.array([(height, width) for width, height, *_ in index.levels])
        bands = tuple(range(1, index.bands + 1))  # as they are stored, alpha too
        levels = [
            reading.open_image(path, page=number, channels=bands, max_pixels=self._max_pixels, random_access=True)
            for number in level_numbers(path)
        ]
        return _Handle(stamp, sizes, levels, 1 / 255 if index.dtype == "uint8" else 1 / 65535)

    def _crop(self, handle: _Handle, box: np.ndarray) -> np.ndarray:
        _, pitch = numpy_level(box, handle.sizes, self._crop_size, self._max_level)
        if pitch > MAX_PITCH:
            raise ImageError(
                "The pyramid has no level coarse enough",
                expected=f"at most {MAX_PITCH} level pixels per crop pixel",
                received=f"{pitch:.1f}",
                mend="Write a pyramid whose levels halve down to the tile size",
            )
        crop = numpy_crop(
            handle.read,
            handle.sizes,
            box,
            self._crop_size,
            margin_px=self._margin_px,
            max_level=self._max_level,
        )
        return crop * np.float32(handle.scale)
