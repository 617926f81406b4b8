"""Crops and training from a pyramid root, on this machine or in object storage: what each image costs.

Run by ``python -m benchmarks.storage`` in a process of its own, whose environment says where the storage is. The last
line is JSON.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pyvips
import tensorflow as tf

from benchmarks.relay import RunningRelay, round_trips
from benchmarks.scale_index import PROXY, stored_features, stored_index
from benchmarks.scale_reading import CROP, STEPS, draw_boxes
from tfvs.data import example as contract
from tfvs.images.crops.reader import read_crops
from tfvs.models.saccader import VariationalSaccader
from tfvs.preparation import files
from tfvs.storage.objects import storage
from tfvs.storage.tiles import FOLDER
from tfvs.training.strategy import limit_threads

BATCH = 32  # as tfvs train chooses
CLASSES = 4
TRAINING_CROP = 64
WARM_UP = 3
PASSES = 4


def forget_tiles() -> None:
    """Empties the cache of tiles; connections stay."""
    shutil.rmtree(storage().options.folder / FOLDER, ignore_errors=True)


def crops(root: str, path: Path, log: Path | None, count: int) -> dict[str, Any]:
    """The crops of so many looks at one image, nothing of which is held here: looks anywhere, of every level."""
    features, relay = stored_features(path), RunningRelay("", log) if log else None
    read = tf.function(lambda boxes: read_crops(features, boxes, CROP, roots=[root], bands=3))
    spent, noted = [], []
    for boxes in draw_boxes(stored_index(path), count + WARM_UP, CROP, seed=1):
        forget_tiles()
        if relay:
            relay.forget()
        began = time.perf_counter()
        found = read(tf.constant(boxes[np.newaxis], tf.float32))
        valid = bool(found.valid.numpy().all())
        spent.append((time.perf_counter() - began) * 1e3)
        if not valid:
            raise click.ClickException(f"{path} cannot be read")
        noted.append(relay.requests() if relay else [])
    spent, noted = spent[WARM_UP:], noted[WARM_UP:]
    figures: dict[str, Any] = {f"p{share}_ms": round(float(np.percentile(spent, share)), 1) for share in (50, 90)}
    if relay:
        sizes = [sum(request["bytes"] for request in requests) for requests in noted]
        figures |= {
            "requests": round(float(np.mean([len(requests) for requests in noted])), 1),
            "round_trips_most": max(map(round_trips, noted)),
            "kb": round(float(np.mean(sizes)) / 1e3, 1),
        }
    return figures


def whole(uri: str) -> dict[str, Any]:
    """An image fetched whole, and its finest level decoded."""
    began = time.perf_counter()
    with files.local_copy(uri) as (copy, _):
        pyvips.Image.tiffload(copy, access="sequential", revalidate=True).avg()
    return {"ms": round((time.perf_counter() - began) * 1e3, 1)}


def training(roots: dict[str, str], path: Path, images: int) -> dict[str, Any]:
    """Steps on images of one root and of another in turns, so that other work on the machine slows both alike.

    Each pass is over images of their own of which nothing is held here, and the last one over images that are.
    """
    features, side = stored_features(path), stored_index(path).width
    proxies = tf.constant(np.random.default_rng(0).random((images, *PROXY)), tf.float32)

    def example(number: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        uri = tf.strings.join([tf.strings.as_string(number), ".tif"])
        own = {name: value[0] for name, value in features.items()} | {contract.PYRAMID_URI: uri}
        return {**own, "proxy": tf.gather(proxies, number)}, number % CLASSES

    batches = list(tf.data.Dataset.range(images).map(example).batch(BATCH, drop_remainder=True))
    models = {}
    for name, root in roots.items():
        model = VariationalSaccader(
            num_classes=CLASSES, num_steps=STEPS, crop_size=TRAINING_CROP, channels=3, max_scale=0.5,
            min_scale=TRAINING_CROP / side, pyramid_roots=(root,),
        )  # fmt: skip
        model.compile(keras.optimizers.Adam(1e-4))
        model.train_on_batch(*batches[0])
        models[name] = model
    spent: dict[str, list[float]] = {name: [] for name in (*models, "held")}
    for number in range(PASSES):
        forget_tiles()
        for batch in batches:
            for name in models if number % 2 else reversed(models):
                spent[name].append(_seconds(models[name], batch))
    for batch in batches:
        spent["held"].append(_seconds(models["storage"], batch))
    speeds = {name: BATCH / float(np.median(steps)) for name, steps in spent.items()}
    return {
        "batch": BATCH,
        "steps": len(spent["storage"]),
        **{f"{name}_images_per_s": round(speed, 2) for name, speed in speeds.items()},
        "of_local_speed": round(speeds["storage"] / speeds["local"], 3),
    }


def _seconds(model: VariationalSaccader, batch: tuple[dict[str, tf.Tensor], tf.Tensor]) -> float:
    began = time.perf_counter()
    model.train_on_batch(*batch)
    return time.perf_counter() - began


@click.command()
@click.argument("root")
@click.argument("large", type=click.Path(exists=True, path_type=Path))
@click.argument("small", type=click.Path(exists=True, path_type=Path))
@click.option("--local", help="Folder with the same images on this machine, to train beside; none: no training.")
@click.option("--log", type=click.Path(path_type=Path), help="Log of the relay.")
@click.option("--count", default=20, show_default=True, help="Images whose crops are read.")
@click.option("--images", default=96, show_default=True, help="Images to train on, 0.tif and so on below ROOT.")
@click.option("--threads", default=1, show_default=True, help="Of TensorFlow; the server and the relay need others.")
def main(
    root: str, large: Path, small: Path, local: str | None, log: Path | None, count: int, images: int, threads: int
) -> None:
    """Measures images below ROOT that have the names and indices of two local ones, and prints JSON."""
    limit_threads(threads)
    found = {"crops": crops(root, large, log, count), "whole": whole(files.join(root, large.name))}
    if local is not None:
        found["training"] = training({"local": local, "storage": root}, small, images)
    click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
