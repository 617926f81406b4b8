"""Crops with libvips, for clients that keep their pixels: ask the model where to look, then send only that.

Follows the rules of the in-graph reader, level by level and weight by weight, so that a crop cut here and one cut by
the server agree.
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
from tfvs.images.tiff.tile_index import read_index
from tfvs.ops.tiles import MAX_PITCH


class _Handle(NamedTuple):
    stamp: tuple[int, int]
    sizes: np.ndarray  # [L, 2] height, width
    levels: list[pyvips.Image]
    scale: float


class VipsReader:
    """Reads crops of pyramids by path.

    Safe to use from many threads: each has handles of its own. Safe to use in a forked child, also of a parent that has
    read before: it opens files anew and waits for no thread of its parent. Files replaced since they were opened are
    noticed by size and modification time and opened again.

    Args:
      crop_size: Side of the crops, pixels.
      margin_px: See :func:`tfvs.ops.tiles.taps`.
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
        root: str | os.PathLike[str] | None = None,
        max_open: int = 16,
        max_pixels: int = 20_000_000_000,
    ) -> None:
        if crop_size < 1 or margin_px < 0 or max_open < 1:
            raise InputError(
                "The reader's sizes are out of range",
                expected="crop_size and max_open of at least 1, margin_px of at least 0",
                received=f"crop_size={crop_size}, margin_px={margin_px}, max_open={max_open}",
            )
        self._crop_size, self._margin_px, self._root = crop_size, margin_px, root
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
        boxes = np.asarray(boxes, np.float32)
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise InputError("Boxes are [T, 4] and finite", received=f"shape {boxes.shape}")
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
        base = reading.open_image(path, max_pixels=self._max_pixels, random_access=True)
        levels = [base]
        found = self._pages(path, base)
        for height, width in sizes[1:]:
            if (height, width) not in found:
                raise ImageError("libvips does not find a level", expected=f"{width} x {height}", received=path)
            levels.append(found[height, width])
        return _Handle(stamp, sizes, levels, 1 / 255 if index.dtype == "uint8" else 1 / 65535)

    def _pages(self, path: str, base: pyvips.Image) -> dict[tuple[int, int], pyvips.Image]:
        def load(**directory: int) -> pyvips.Image:
            source = pyvips.Source.new_from_file(path)
            return pyvips.Image.tiffload_source(source, access="random", fail_on="warning", **directory)

        images = []
        if base.get_typeof("n-subifds") and base.get("n-subifds"):
            images = [load(subifd=i) for i in range(base.get("n-subifds"))]
        elif base.get_typeof("n-pages"):
            images = [load(page=i) for i in range(1, base.get("n-pages"))]
        return {(image.height, image.width): image for image in reversed(images)}

    def _crop(self, handle: _Handle, box: np.ndarray) -> np.ndarray:
        sides = np.abs(box[2:] - box[:2])
        pitch = (sides * handle.sizes.astype(np.float32)).max(axis=1) / np.float32(self._crop_size)
        level = max(int((pitch >= 1).sum()) - 1, 0)
        if pitch[level] > MAX_PITCH:
            raise ImageError(
                "The pyramid has no level coarse enough",
                expected=f"at most {MAX_PITCH} level pixels a crop pixel",
                received=f"{pitch[level]:.1f}",
                mend="Write a pyramid whose levels halve down to the tile size",
            )
        image = handle.levels[level]
        rows, row_weights = _taps(box[0], box[2], image.height, self._crop_size, self._margin_px)
        columns, column_weights = _taps(box[1], box[3], image.width, self._crop_size, self._margin_px)
        top, left = int(rows.min()), int(columns.min())
        height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
        # A region computes in this thread: faster for small windows, and without libvips' worker threads, which a
        # forked child lacks.
        region = pyvips.Region.new(image).fetch(left, top, width, height)
        dtype = np.uint8 if image.format == "uchar" else np.uint16
        pixels = np.frombuffer(region, dtype).reshape(height, width, image.bands)
        lines = pixels[rows - top].astype(np.float32)  # [2, S, w, C]
        across = (lines * row_weights[..., None, None]).sum(0)[:, columns - left]  # [S, 2, S, C]
        return (across * column_weights[None, ..., None]).sum(1) * np.float32(handle.scale)


def _taps(
    start: np.float32, stop: np.float32, size: int, samples: int, margin_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """The NumPy twin of :func:`tfvs.ops.tiles.taps`: ``[2, S]`` indices and weights."""
    low, high = start * np.float32(size), stop * np.float32(size)
    cells = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) / np.float32(samples)
    centres = low + (high - low) * cells - np.float32(0.5)
    floor = np.floor(centres)
    neighbours = np.stack([floor, floor + 1])
    weights = np.stack([1 - (centres - floor), centres - floor])
    first = max(np.floor(min(low, high)) - margin_px, 0)
    last = min(np.ceil(max(low, high)) + margin_px, size) - 1
    inside = (neighbours >= first) & (neighbours <= last)
    return np.clip(neighbours, 0, size - 1).astype(np.int64), np.where(inside, weights, 0).astype(np.float32)
