"""Measures a trained model on Megapixel MNIST: accuracy, digits seen, pixels read, images per second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.pyramid_set import PyramidSet
from tfvs.data.dataset import evaluation_dataset, read_labels
from tfvs.data.example import PYRAMID_FEATURES
from tfvs.datasets.digits import DIGIT_PX
from tfvs.datasets.megapixel_mnist import NUM_OF_TARGET, draw
from tfvs.datasets.megapixel_pyramids import MegapixelPyramidConfig
from tfvs.images.crops.reader import read_crops
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.saccader import VariationalSaccader

TEST_BATCH = 50


class MegapixelData(PyramidSet[MegapixelPyramidConfig]):
    """Megapixel MNIST as pyramids and records."""

    @property
    def recipe(self) -> ProxyRecipe:
        """Shape of the proxies."""
        return self.config.recipe

    def positions(self, split: str) -> np.ndarray:
        """``[N, 5, 2]`` top and left of the digits, pixels, those of the class first."""
        return np.stack([draw(self.config, split, index).positions for index in range(self.counts[split])])


def measure(model: VariationalSaccader, data: MegapixelData, num_samples: int) -> dict[str, Any]:
    """Answers of the model to the test images.

    Args:
      model: Trained, for these images.
      data: Its split ``test`` is classified.
      num_samples: Trajectories averaged, beside the likeliest.

    Returns:
      ``accuracy`` of the likeliest trajectory and ``accuracy_of_samples``; ``digits_seen``, the share of the class's
      digits that lie wholly in one look, ``digits_touched``, whose centre does, and ``digits_seen_by_a_sample``, by one
      trajectory that is drawn; per image, ``tiles_read``, ``pixels_read`` (of these tiles), ``pixels_looked_at`` and
      ``share_read``, of the image; ``test_images_per_second``, of the processor's time.
    """
    batch = min(TEST_BATCH, data.counts["test"])
    if data.config.proxy_px > 400:
        batch = 5  # the map of places grows with the proxy
    dataset = evaluation_dataset(data.files("test"), data.recipe, batch_size=batch)
    labels = read_labels(data.files("test"))
    positions = data.positions("test")
    answer = _answering(model)
    began, rows = time.process_time(), []
    for inputs, _, _ in dataset:
        rows.append([value.numpy() for value in answer(inputs)])
    seconds = time.process_time() - began
    logits, boxes = (np.concatenate(values)[: len(labels)] for values in zip(*rows, strict=True))
    tiles = count_tiles(model, data, boxes, batch)
    corners, digit = positions[:, :NUM_OF_TARGET] / data.config.height, DIGIT_PX / data.config.height
    inside, touched = look_at(boxes, corners, digit), look_at(boxes, corners + digit / 2, 0.0)
    sampled = _answering(model.adapted(num_samples=num_samples))
    rows = [[value.numpy() for value in sampled(inputs)] for inputs, _, _ in dataset]
    of_samples, drawn = (np.concatenate(values)[: len(labels)] for values in zip(*rows, strict=True))
    tile_pixels = data.config.tile_size**2
    whole = data.config.height * data.config.width
    return {
        "test_images": len(labels),
        "accuracy": float(np.mean(np.argmax(logits, -1) == labels)),
        "accuracy_of_samples": float(np.mean(np.argmax(of_samples, -1) == labels)),
        "num_samples": num_samples,
        "digits_seen": float(inside.mean()),
        "digits_touched": float(touched.mean()),
        "digits_seen_by_a_sample": float(look_at(drawn, corners, digit).mean()),
        "tiles_read": float(tiles.mean()),
        "pixels_read": float(tiles.mean() * tile_pixels),
        "pixels_looked_at": model.config.num_steps * model.config.crop_size**2,
        "share_read": float(tiles.mean() * tile_pixels / whole),
        "proxy_pixels": data.config.proxy_px**2,
        "test_images_per_second": len(labels) / seconds,
    }


def _answering(model: VariationalSaccader) -> Callable[[dict[str, tf.Tensor]], tuple[tf.Tensor, tf.Tensor]]:
    """Inputs → logits and boxes, as one graph."""

    @tf.function(reduce_retracing=True)
    def answer(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        output = model(inputs)
        return output.logits, output.boxes

    return answer


def look_at(boxes: np.ndarray, corners: np.ndarray, side: float) -> np.ndarray:
    """Which squares lie wholly in one of the boxes.

    Args:
      boxes: ``[N, T, 4]`` ``[y0, x0, y1, x1]`` in [0, 1].
      corners: ``[N, D, 2]`` top and left, in [0, 1].
      side: Side of the squares, in [0, 1].

    Returns:
      ``[N, D]`` bool.

    >>> look_at(np.array([[[0.1, 0.1, 0.3, 0.3]]]), np.array([[[0.15, 0.15], [0.25, 0.15]]]), 0.1).tolist()
    [[True, False]]
    """
    low, high = boxes[:, np.newaxis, :, :2], boxes[:, np.newaxis, :, 2:]
    start = corners[:, :, np.newaxis]
    return ((start >= low - 1e-6) & (start + side <= high + 1e-6)).all(-1).any(-1)


def count_tiles(model: VariationalSaccader, data: MegapixelData, boxes: np.ndarray, batch: int) -> np.ndarray:
    """``[N]`` tiles that the reader reads of each test image for some boxes."""
    config = model.config

    @tf.function(reduce_retracing=True)
    def tiles_of(features: dict[str, tf.Tensor], looks: tf.Tensor) -> tf.Tensor:
        return read_crops(features, looks, config.crop_size, roots=config.pyramid_roots, bands=1)[2]

    found = []
    for number, (inputs, _, _) in enumerate(evaluation_dataset(data.files("test"), data.recipe, batch_size=batch)):
        looks = np.zeros([batch, *boxes.shape[1:]], np.float32)
        part = boxes[number * batch : (number + 1) * batch]
        looks[: len(part)] = part
        features = {name: inputs[name] for name in PYRAMID_FEATURES}
        found.append(tiles_of(features, tf.constant(looks)).numpy())
    return np.concatenate(found)[: len(boxes)]
