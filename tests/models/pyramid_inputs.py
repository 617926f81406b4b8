"""Small pyramids as inputs; run as a program, it trains on two logical CPU devices and prints the losses as JSON."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pyvips
import tensorflow as tf

import tfvs
from tests.models.conftest import SMALL
from tfvs.data import example
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.training.strategy import make_strategy


def make_pyramids(root: Path) -> tuple[tf.data.Dataset, dict[str, np.ndarray]]:
    """Eight pyramids as a dataset of two batches, and the same images in memory."""
    rng = np.random.default_rng(9)
    images = (rng.random((8, 90, 130, 1)) * 255).astype("uint8")
    proxies = rng.random((8, 9, 12, 1)).astype("float32")
    records = []
    for i, image in enumerate(images):
        index = write_pyramid(
            pyvips.Image.new_from_array(image), str(root / f"{i}.tif"), tile_size=32, compression="none"
        )
        record = example.ImageRecord(str(i), i % 4, "", b"", f"{i}.tif", index)
        records.append(example.to_example(record).SerializeToString())

    def load(serialized: tf.Tensor, proxy: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        parsed = example.parse_examples(serialized)
        inputs = {name: parsed[name] for name in example.PYRAMID_FEATURES}
        return {**inputs, "proxy": proxy}, parsed[example.LABEL]

    dataset = tf.data.Dataset.from_tensor_slices((records, proxies)).batch(4, drop_remainder=True).map(load)
    return dataset, {"image": images.astype("float32") / 255.0, "proxy": proxies}


def build_model(*roots: Path) -> tfvs.VariationalSaccader:
    """The small saccader, with the same weights every time."""
    keras.utils.set_random_seed(3)
    model = tfvs.VariationalSaccader(**SMALL, pyramid_roots=tuple(map(str, roots)))
    model.build({"proxy": (None, 9, 12, 1), "image": (None, None, None, 1)})
    return model


def main(root: Path) -> None:
    strategy = make_strategy(2)
    dataset, _ = make_pyramids(root)
    with strategy.scope():
        model = build_model(root)
        model.compile("sgd")
    alone = build_model(root)
    alone.compile("sgd")
    report = {
        "evaluate": model.evaluate(dataset, verbose=0, return_dict=True)["loss"],
        "evaluate_alone": alone.evaluate(dataset, verbose=0, return_dict=True)["loss"],
        "fit": model.fit(dataset, verbose=0).history["loss"][0],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
