"""One file of the corpus: how it is written, and what its pixels are by construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 80  # of the images, no multiple of their tiles


@dataclass(frozen=True)
class Case:
    """A file and what reading it must give.

    Attributes:
      name: Name of the file.
      write: Writes it.
      pixels: ``[H, W, C]``, upright grey or RGB, as every reader must give it or refuse it; None: to be refused.
      options: Of preparation, fields of PrepareOptions.
      tolerance: Grey levels, of what is compressed with loss or whose colours are converted.
      stored: Samples of the tiles as they are stored, where they differ, such as those with alpha.
      must_be_read: Whether preparation must read it; else it may refuse with a reason.
      note: A part of what preparation must say of it.
    """

    name: str
    write: Callable[[Path], Any]
    pixels: np.ndarray | None
    options: dict[str, Any] = field(default_factory=dict)
    tolerance: int = 0
    stored: np.ndarray | None = None
    must_be_read: bool = True
    note: str = ""


def ramp(bands: int = 3, dtype: str = "uint8", side: int = SIDE) -> np.ndarray:
    """Ramps that differ in every band and under every turn, smooth enough for JPEG."""
    y, x = np.mgrid[:side, :side]
    all_bands = np.stack([3 * x, 2 * y + 40, 230 - x - y, 240 - 3 * x, 2 * x + y], -1)[..., :bands]
    levels = all_bands.astype(np.uint8)
    return levels if dtype == "uint8" else levels.astype(np.uint16) * 257 - 3 * (levels > 100).astype(np.uint16)


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """The upright image of pixels that are stored with an EXIF orientation."""
    if orientation in (2, 4, 5, 7):
        image = {
            2: image[:, ::-1],
            4: image[::-1],
            5: image.transpose(1, 0, 2),
            7: image[::-1, ::-1].transpose(1, 0, 2),
        }[orientation]
        return np.ascontiguousarray(image)
    return np.ascontiguousarray(np.rot90(image, {1: 0, 3: 2, 6: 3, 8: 1}[orientation]))


def on_white(image: np.ndarray) -> np.ndarray:
    """Straight alpha, the last band, flattened on white."""
    top = float(np.iinfo(image.dtype).max)
    colour, alpha = image[..., :-1].astype(float), image[..., -1:] / top
    return np.rint(colour * alpha + top * (1 - alpha)).astype(image.dtype)
