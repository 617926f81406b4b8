"""A small exported saccader with random weights, and images for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tensorflow as tf

from tfvs.export.pyramid_inputs import pyramid_inputs
from tfvs.export.saving import ROOTS_FILE, export_saved_model
from tfvs.images.proxy import ProxyRecipe, proxy_from_pyramid
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index
from tfvs.models.saccader import VariationalSaccader

CLASS_NAMES = ("cat", "dog", "wärze")
RECIPE = ProxyRecipe(height=24, width=32, channels=3)
CROP_SIZE = 16
NUM_STEPS = 2
MAX_IMAGE_PX = 3000 * 3000
# Places, evidence that adds up, and two scales.
CATEGORICAL: dict[str, Any] = {
    "posterior": "categorical",
    "cells": (12, 16),
    "inhibition_cells": 1,
    "look_pooling": "evidence",
    "scales": (1.0, 2.0),
    "reconstruction_weight": 0.0,
    "map_filters": (4,),
    "map_kernels": (3,),
}
CATEGORICAL_LOOKS = 3
CATEGORICAL_TEMPERATURE = 2.5


def small_saccader(num_samples: int = 1, **changes: Any) -> VariationalSaccader:
    """Not trained, but sensitive: its probabilities differ from image to image.

    Args:
      num_samples: Trajectories.
      **changes: Fields of the configuration.
    """
    tf.keras.utils.set_random_seed(7)
    model = VariationalSaccader(
        num_classes=len(CLASS_NAMES),
        num_steps=NUM_STEPS,
        crop_size=CROP_SIZE,
        num_samples=num_samples,
        encoder_filters=(8, 16),
        encoder_strides=(2, 2),
        encoder_units=32,
        decoder_filters=(8, 8),
        state_size=32,
        prior_units=16,
        posterior_units=16,
        latent_units=8,
        crop_filters=(8, 16),
        crop_strides=(2, 2),
        crop_units=16,
        head_units=16,
        **changes,
    )
    model.build({"proxy": (None, *RECIPE.shape), "image": (None, None, None, 3)})
    return model


def export_small(
    base: Path, roots: list[Path], looks: int | None = None, temperature: float = 1.0, **changes: Any
) -> Path:
    """Version 1 under the base path."""
    path = export_saved_model(
        small_saccader(**changes),
        base / "1",
        class_names=CLASS_NAMES,
        proxy=RECIPE,
        image_roots=roots,
        max_image_px=MAX_IMAGE_PX,
        num_steps=looks,
        temperature=temperature,
    )
    return Path(path)


def adapt(exported: Path, base: Path, roots: list[Path]) -> Path:
    """Copies an export to version 1 under another base path, and edits its roots as a user who moves it does."""
    shutil.copytree(exported, base / "1")
    (base / "1" / "assets" / ROOTS_FILE).write_text("".join(f"{root}\n" for root in roots))
    return base / "1"


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with a few sharp edges, ``[H, W, 3]`` uint8."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    random = np.random.default_rng(seed)
    planes = [np.sin(y * a + x * b + c) for a, b, c in random.uniform(2, 12, (3, 3))]
    pixels = 127 + 90 * np.stack(planes, -1)
    for _ in range(4):
        top, left = random.integers(0, height - height // 5), random.integers(0, width - width // 5)
        pixels[top : top + height // 5, left : left + width // 5] = random.integers(0, 256, 3)
    return pixels.clip(0, 255).astype(np.uint8)


def write_image(path: Path, pixels: np.ndarray, **options: object) -> Path:
    """By libvips, in the format of the name."""
    pyvips.Image.new_from_array(pixels).write_to_file(str(path), **options)
    return path


def write_picture_pyramid(path: Path, pixels: np.ndarray) -> Path:
    """A lossless pyramid; its tiles are small, so that it has every level a crop may ask for."""
    write_pyramid(pyvips.Image.new_from_array(pixels), path, tile_size=32, compression="deflate")
    return path


def pyramid_request(root: Path, name: str, path: str | None = None) -> dict[str, np.ndarray]:
    """Inputs of ``predict_pyramids`` for a pyramid under the root, under its own name or another path."""
    index = read_index(root / name)
    proxy = proxy_from_pyramid(root / name, index, RECIPE)[np.newaxis] / np.float32(255)
    return {"proxy": proxy, **pyramid_inputs(name if path is None else path, index)}
