"""Small image files for the components' tests."""

from pathlib import Path

import numpy as np

from tfvs.datasets.writing import encode_png


def write_png(path: Path, *, seed: int = 0, height: int = 48, width: int = 64) -> Path:
    """A grey image that its seed decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.random.default_rng(seed).integers(256, size=(height, width), dtype=np.uint8)))
    return path


def write_folder(root: Path, count: int, *, classes: int = 2, side: int = 0) -> Path:
    """``root/class<k>/<number>.png``."""
    for index in range(count):
        size = {"height": side, "width": side} if side else {}
        write_png(root / f"class{index % classes}" / f"{index:04d}.png", seed=index, **size)
    return root
