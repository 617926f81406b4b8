"""The same images as pyramids and in memory; run as a program, it trains on both, and prints the losses as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyvips
import tensorflow as tf

import tfvs
from tests.models.conftest import SMALL
from tfvs.data import example
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.training.strategy import make_strategy

BATCH = 4
HEIGHT, WIDTH = 96, 128


def refine(coarse: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Twice as many pixels per side, of which each 2 x 2 have the coarse one for their mean."""
    batch, height, width = coarse.shape[:3]
    fine = np.empty((batch, 2 * height, 2 * width, 1), coarse.dtype)
    one, other = rng.integers(-20, 21, (2, *coarse.shape))
    fine[:, ::2, ::2], fine[:, 1::2, 1::2] = coarse + one, coarse - one
    fine[:, ::2, 1::2], fine[:, 1::2, ::2] = coarse + other, coarse - other
    return fine


def make_sources(root: Path) -> dict[str, tf.data.Dataset]:
    """Two batches of eight images whose coarser levels need no rounding.

    Nor are neighbours alike, as in larger pixels: which of equal numbers a pooling takes is up to the last bit.
    """
    rng = np.random.default_rng(4)
    images = rng.integers(60, 196, (8, HEIGHT // 8, WIDTH // 8, 1))
    for _ in range(3):
        images = refine(images, rng)
    images = images.astype(np.uint8)
    proxies = rng.random((8, 9, 12, 1)).astype("float32")
    labels = np.arange(8) % SMALL["num_classes"]
    records = []
    for number, image in enumerate(images):
        path = root / f"{number}.tif"
        index = write_pyramid(pyvips.Image.new_from_array(image), path, tile_size=32, compression="deflate")
        record = example.ImageRecord(str(number), int(labels[number]), "", b"", path.name, index)
        records.append(example.to_example(record).SerializeToString())

    def parse(serialized: tf.Tensor, proxy: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        parsed = example.parse_examples(serialized)
        return {"proxy": proxy, **{name: parsed[name] for name in example.PYRAMID_FEATURES}}, parsed[example.LABEL]

    tiles = tf.data.Dataset.from_tensor_slices((records, proxies)).batch(BATCH, drop_remainder=True).map(parse)
    inputs = {"image": images / np.float32(255.0), "proxy": proxies}
    dense = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(BATCH, drop_remainder=True)
    return {"tiles": tiles, "dense": dense}


def train(root: Path, source: tf.data.Dataset, strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Losses of three epochs from the same random state, and the classes predicted afterwards."""
    keras.utils.set_random_seed(3)
    with strategy.scope():
        model = tfvs.VariationalSaccader(**SMALL, pyramid_roots=(str(root),))
        model.build({"proxy": (None, 9, 12, 1), "image": (None, None, None, 1)})
        model.compile(keras.optimizers.SGD(0.05))
    losses = model.fit(source, epochs=3, verbose=0).history["loss"]
    return {"losses": losses, "logits": model.predict(source, verbose=0).logits.tolist()}


def main(root: Path) -> None:
    """Trains from both sources, on one device and on two."""
    two = make_strategy(2)
    sources = make_sources(root)
    report = {
        name: {source: train(root, data, strategy) for source, data in sources.items()}
        for name, strategy in (("one", tf.distribute.get_strategy()), ("two", two))
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
