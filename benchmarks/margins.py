"""Why a localized transformer without a margin differs: its crops and gradients beside the spatial transformer's.

    python -m benchmarks.margins --digits mnist.npz

Cuts crops of several widths out of canvases with one digit among clutter, anywhere, by the spatial transformer and by
the localized one with ``margin_px`` 0 and 1. The gradient is that of a random weighting of the crop's pixels in the
box's four edges. Writes ``docs/results/margins.json``; the last line printed is the JSON.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.accuracy import CANVAS_PX, describe_canvases
from benchmarks.machine import describe_machine
from tfvs.datasets.two_digit_mnist import generate
from tfvs.layers import LocalizedSpatialTransformer, SpatialTransformer
from tfvs.training.strategy import limit_threads

CROP_PX = 32
WIDTHS_PX = (20, 28, 38, 60)  # of the boxes; training begins with crops of 60 pixels and ends between 28 and 38
MARGINS = (0, 1)
LEAST_DIFFERENCE = 1e-4  # of pixels in [0, 1]: what rounding does not make


def cut(layer: keras.layers.Layer, image: tf.Tensor, boxes: tf.Tensor, weights: tf.Tensor) -> tuple[np.ndarray, ...]:
    """Crops ``[N, 1, S, S, 1]``, and the gradient ``[N, 1, 4]`` of their weighted sum in the boxes."""
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        crops = layer(image, boxes)
        total = tf.reduce_sum(crops * weights)
    return crops.numpy(), tape.gradient(total, boxes).numpy()


def compare(images: np.ndarray, width_px: int, margin_px: int, random: np.random.Generator) -> dict[str, float]:
    """The localized transformer beside the spatial one.

    Args:
      images: ``[N, H, H]`` uint8.
      width_px: Side of the boxes, pixels.
      margin_px: The localized transformer's.
      random: Gives one place per image, and the weights of the pixels.

    Returns:
      ``pixels``, the share of the crops' pixels that differ; ``gradient``, the norm of the difference of the gradients
      over the norm of the spatial transformer's.
    """
    side = images.shape[1]
    corners = random.uniform(0.0, 1.0 - width_px / side, [len(images), 1, 2])
    boxes = tf.constant(np.concatenate([corners, corners + width_px / side], axis=-1), tf.float32)
    image = tf.constant(images[..., np.newaxis] / 255.0, tf.float32)
    weights = tf.constant(random.normal(size=[len(images), 1, CROP_PX, CROP_PX, 1]), tf.float32)
    whole, gradient = cut(SpatialTransformer(CROP_PX), image, boxes, weights)
    local, own = cut(LocalizedSpatialTransformer(CROP_PX, margin_px=margin_px), image, boxes, weights)
    return {
        "pixels": float((np.abs(local - whole) > LEAST_DIFFERENCE).mean()),
        "gradient": float(np.linalg.norm(own - gradient) / np.linalg.norm(gradient)),
    }


@click.command()
@click.option("--digits", required=True, help="uci, mnist (keras.datasets) or the path of an .npz.")
@click.option("--images", default=500, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--results", default="docs/results", show_default=True)
def main(digits: str, images: int, seed: int, results: str) -> None:
    """Compares crops and gradients."""
    limit_threads(1)
    canvases = np.asarray(generate(describe_canvases("one", digits, seed), "test", images).images)
    found = {
        str(width): {str(margin): compare(canvases, width, margin, np.random.default_rng(seed)) for margin in MARGINS}
        for width in WIDTHS_PX
    }
    report = {
        "images": images,
        "canvas": CANVAS_PX,
        "crop_size": CROP_PX,
        "seed": seed,
        "widths_px": found,
        "cpu_minutes": time.process_time() / 60,
        "machine": describe_machine(),
    }
    target = Path(results) / "margins.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
