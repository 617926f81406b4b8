"""Images of every kind that all ways in must treat alike, written as files; each says how it differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyvips

from tests.export.saccaders import picture

SIZES = ((97, 203), (160, 120), (331, 64), (250, 251), (48, 48), (511, 383))
THIN = ((7, 900), (1200, 5), (30, 2000), (1, 400))
TINY = ((1, 1), (2, 3), (5, 1), (9, 14))


def grey(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., :1]


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    alpha = np.linspace(0, 255, height * width).reshape(height, width, 1)
    return np.concatenate([pixels, alpha.astype(np.uint8)], axis=-1)


def deep(pixels: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, pixels.shape)
    return (pixels.astype(np.uint16) << 8) + noise.astype(np.uint16)


def opened(pixels: np.ndarray) -> pyvips.Image:
    depth = "16" if pixels.dtype == np.uint16 else ""
    colour = f"rgb{depth}" if depth else "srgb"
    name = f"grey{depth}" if depth else "b-w"
    return pyvips.Image.new_from_array(pixels, interpretation=name if pixels.shape[-1] <= 2 else colour)


def turned(image: pyvips.Image, orientation: int) -> pyvips.Image:
    """The same pixels, with EXIF's word on how to turn them."""
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return image


def write_pictures(folder: Path) -> dict[str, Path]:
    """Name → file: at least 60 JPEG and PNG images."""
    made: dict[str, Path] = {}

    def save(name: str, image: pyvips.Image, suffix: str) -> None:
        made[name] = folder / f"{name}{suffix}"
        if suffix == ".png":
            image.pngsave(str(made[name]))
        else:
            image.jpegsave(str(made[name]), Q=92)

    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "colour": lambda pixels: pixels,
        "grey": grey,
        "alpha": with_alpha,
        "grey_alpha": lambda pixels: with_alpha(grey(pixels)),
        "deep": deep,
        "deep_grey": lambda pixels: deep(grey(pixels)),
    }
    for number, (height, width) in enumerate(SIZES):
        pixels = picture(height, width, seed=number)
        for kind, change in kinds.items():
            save(f"{kind}_{height}x{width}", opened(change(pixels)), ".png")
        save(f"jpeg_{height}x{width}", opened(pixels), ".jpg")
    for number, (height, width) in enumerate((*THIN, *TINY)):
        pixels = np.random.default_rng(number).integers(0, 256, [height, width, 3]).astype(np.uint8)
        save(f"small_{height}x{width}", opened(pixels), ".png")
        save(f"small_grey_{height}x{width}", opened(grey(pixels)), ".jpg")
    for orientation in range(2, 9):
        upright = opened(picture(90 + orientation, 140, seed=orientation))
        save(f"turned_jpeg_{orientation}", turned(upright, orientation), ".jpg")
    save("turned_png_6", turned(opened(picture(80, 130, seed=9)), 6), ".png")
    save("huge", opened(picture(2900, 2500, seed=3)), ".jpg")
    save("huge_grey", opened(grey(picture(1700, 3100, seed=4))), ".png")
    return made
