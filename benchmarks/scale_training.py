"""Training steps from tiles and from dense images of the same size: images per second and memory.

Run by ``python -m benchmarks.scale`` in processes of its own: ``python -m benchmarks.scale_training tiles|dense
PYRAMID``. The last line is JSON.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pyvips
import tensorflow as tf

from benchmarks.memory import current_memory_mb, peak_memory_mb, reset_peak_memory
from benchmarks.scale_index import PROXY, stored_features, stored_index
from benchmarks.scale_reading import CROP, STEPS
from tfvs.models.saccader import VariationalSaccader

WARM_UP = 2


class StepEnds(keras.callbacks.Callback):
    """When each step ended; the end of ``fit`` itself waits for threads of tf.data, which is no part of a step."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Notes the time."""
        self.seconds.append(time.perf_counter())


def batches(source: str, path: Path, batch: int) -> tf.data.Dataset:
    """Endless batches: the dense one decodes the whole image for each of its elements, as it would from disk."""
    rng = np.random.default_rng(0)
    proxies = tf.constant(rng.random((batch, *PROXY)), tf.float32)
    labels = tf.range(batch, dtype=tf.int64)
    if source == "tiles":
        features = stored_features(path, [path.name] * batch)
        return tf.data.Dataset.from_tensors(({**features, "proxy": proxies}, labels)).repeat()
    side = stored_index(path).width

    def decode() -> np.ndarray:
        return pyvips.Image.tiffload(str(path), access="sequential", revalidate=True).numpy()

    def whole(_: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(decode, [], tf.uint8), [side, side, 3])

    images = tf.data.Dataset.range(batch).repeat().map(whole, num_parallel_calls=2).batch(batch, drop_remainder=True)
    return images.map(lambda image: ({"image": image, "proxy": proxies}, labels)).prefetch(1)


def train(source: str, path: Path, batch: int, steps: int) -> dict[str, Any]:
    """Steps of ``fit``, after a few that trace and fill the caches."""
    model = VariationalSaccader(
        num_classes=batch, num_steps=STEPS, crop_size=CROP, channels=3, min_scale=CROP / stored_index(path).width,
        max_scale=0.5, pyramid_roots=(str(path.parent),),
    )  # fmt: skip
    model.compile(keras.optimizers.Adam(1e-4))
    before = current_memory_mb()
    data = batches(source, path, batch)
    model.fit(data, steps_per_epoch=WARM_UP, verbose=0)
    reset_peak_memory()
    ends = StepEnds()
    history = model.fit(data, steps_per_epoch=steps + 1, verbose=0, callbacks=[ends])
    seconds = ends.seconds[-1] - ends.seconds[0]
    return {
        "images_per_s": round(batch * steps / seconds, 2),
        "peak_mb_above_model": round(peak_memory_mb() - before),
        "loss": round(history.history["loss"][0], 4),
        "batch": batch,
    }


@click.command()
@click.argument("source", type=click.Choice(["tiles", "dense"]))
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--batch", default=4, show_default=True, help="Images per step.")
@click.option("--steps", default=8, show_default=True, help="Number of steps measured.")
def main(source: str, path: Path, batch: int, steps: int) -> None:
    """Measures one source and prints it as JSON."""
    click.echo(json.dumps(train(source, path.absolute(), batch, steps)))


if __name__ == "__main__":
    main()
