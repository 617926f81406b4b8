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
from benchmarks.scale_training import StepEnds
from tfvs.data import example as contract
from tfvs.images.crops.reader import read_crops
from tfvs.models.saccader import VariationalSaccader
from tfvs.preparation import files
from tfvs.storage.objects import storage
from tfvs.storage.tiles import FOLDER
from tfvs.training.strategy import limit_threads

BATCH = 4
TRAINING_CROP = 64
WARM_UP = 3


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


def training(root: str, path: Path, images: int) -> dict[str, Any]:
    """Training on images of their own, once with nothing held here, then once more."""
    model = VariationalSaccader(
        num_classes=BATCH, num_steps=STEPS, crop_size=TRAINING_CROP, channels=3, max_scale=0.5, pyramid_roots=(root,),
        min_scale=TRAINING_CROP / stored_index(path).width,
    )  # fmt: skip
    model.compile(keras.optimizers.Adam(1e-4))
    features = stored_features(path)
    proxies = tf.constant(np.random.default_rng(0).random((images, *PROXY)), tf.float32)

    def example(number: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        uri = tf.strings.join([tf.strings.as_string(number), ".tif"])
        own = {name: value[0] for name, value in features.items()} | {contract.PYRAMID_URI: uri}
        return {**own, "proxy": tf.gather(proxies, number)}, number % BATCH

    data = tf.data.Dataset.range(images).map(example).batch(BATCH, drop_remainder=True).prefetch(1)
    model.fit(data.take(WARM_UP), verbose=0)
    forget_tiles()
    figures = {}
    for name in ("first_pass", "second_pass"):
        ends = StepEnds()
        model.fit(data, verbose=0, callbacks=[ends])
        steps = np.diff(ends.seconds)
        figures[name] = {"images_per_s": round(BATCH / float(np.median(steps)), 2), "steps": len(steps)}
    return figures


@click.command()
@click.argument("root")
@click.argument("large", type=click.Path(exists=True, path_type=Path))
@click.argument("small", type=click.Path(exists=True, path_type=Path))
@click.option("--log", type=click.Path(path_type=Path), help="Log of the relay.")
@click.option("--count", default=20, show_default=True, help="Images whose crops are read.")
@click.option("--images", default=64, show_default=True, help="Images to train on, 0.tif and so on below ROOT.")
@click.option("--threads", default=1, show_default=True, help="Of TensorFlow; the server and the relay need others.")
def main(root: str, large: Path, small: Path, log: Path | None, count: int, images: int, threads: int) -> None:
    """Measures images below ROOT that have the names and indices of two local ones, and prints JSON."""
    limit_threads(threads)
    found = {
        "crops": crops(root, large, log, count),
        "whole": whole(files.join(root, large.name)),
        "training": training(root, small, images),
    }
    click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
