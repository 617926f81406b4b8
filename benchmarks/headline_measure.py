"""One measurement of the headline in a process of its own: ``python -m benchmarks.headline_measure WHAT FIELD=JSON …``.

``python -m benchmarks.headline`` runs it; the last line is JSON.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.headline_images import looked_at, read_canvases, read_pixels
from benchmarks.headline_models import CLASSES, RECIPE, SACCADERS, build, count_flops
from benchmarks.memory import current_memory_mb, peak_memory_mb, release_memory, reset_peak_memory
from benchmarks.running import parse_overrides
from benchmarks.scale_reading import timed
from tfvs.data.dataset import Inputs
from tfvs.data.layout import PYRAMIDS
from tfvs.models.image_classifier import ImageClassifier
from tfvs.models.pixels import IMAGE, PROXY
from tfvs.models.presets import PRESETS
from tfvs.training.strategy import limit_threads

# Largest side of a crop in the curve over sizes as a multiple of crop_size: below 2 the finest level is read.
WIDEST_PITCH = 1.9
# Environment with which TensorFlow's allocator keeps nothing that was freed.
GIVES_BACK = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}


class StepTimes(keras.callbacks.Callback):
    """What each step took, without what ``fit`` does before and after all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.milliseconds: list[float] = []
        self._began = 0.0

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Notes the time."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Notes what passed since."""
        self.milliseconds.append((time.perf_counter() - self._began) * 1e3)


def best_of(rounds: int, count: int, milliseconds: list[float]) -> dict[str, Any]:
    """The least of the rounds' medians, and all of them."""
    medians = [float(np.median(part)) for part in np.reshape(milliseconds, [rounds, count])]
    return {"ms": round(min(medians), 3), "rounds_ms": [round(value, 3) for value in medians]}


def inference(model: str, folder: str, side: int, grid: int, images: int, rounds: int, count: int) -> dict[str, Any]:
    """Answers to single images, and for a saccader to all images as one batch."""
    built = build(model, side, Path(folder) / PYRAMIDS, grid)
    inputs = _inputs(model, folder, images, 1)
    found = _time_answers(built, inputs, rounds, count)
    images_per_s = 1e3 / found["ms"]
    if model in SACCADERS:
        batch = _time_answers(built, _inputs(model, folder, images, images), rounds, count)
        images_per_s = 1e3 * images / batch["ms"]
    dense = {IMAGE: tf.zeros([1, side, side, 1]), PROXY: tf.zeros([1, *RECIPE.shape])}
    whole = build("resnet_batch", side, Path(folder), grid) if model == "resnet_cells" else built
    return {
        **found,
        "images_per_s": round(images_per_s, 2),
        "parameters": built.count_params(),
        "flops": count_flops(lambda one: whole(one).logits, dense),
    }


def training(
    model: str, folder: str, side: int, grid: int, images: int, batch: int, rounds: int, count: int
) -> dict[str, Any]:
    """Steps of ``fit`` with Adam."""
    step = _stepping(model, folder, side, grid, images, batch)
    step(1)
    found = best_of(rounds, count, step(rounds * count))
    return {"batch": batch, **found, "ms_per_image": round(found["ms"] / batch, 3)}


def memory(model: str, folder: str, side: int, grid: int, images: int, batch: int) -> dict[str, Any]:
    """What a call adds at its peak to the resident memory of a model that is loaded and has been called once, MB.

    TensorFlow must give back what it frees (:data:`GIVES_BACK`), or the second call finds what the first one left.

    Args:
      model: Which one.
      folder: Folder of the canvases.
      side: Their side, pixels.
      grid: N, for ResNet18 on N² crops.
      images: Number of canvases.
      batch: Images per training step, with Adam, whose variables belong to the model; 0 for an answer to one image.
    """
    if batch:
        step = _stepping(model, folder, side, grid, images, batch)
        call: Callable[[], object] = functools.partial(step, 1)
    else:
        answer = _answering(build(model, side, Path(folder) / PYRAMIDS, grid))
        call = functools.partial(answer, _inputs(model, folder, images, 1)[0])
    call()
    release_memory()
    reset_peak_memory()
    loaded = current_memory_mb()
    call()
    return {"loaded_mb": round(loaded), "adds_mb": round(peak_memory_mb() - loaded, 1)}


def curve(model: str, folder: str, sides: list[int], rounds: int, count: int, digits: str) -> dict[str, Any]:
    """Answers by the image's size: ResNet18 on crops that cover it, a saccader on crops of the image's own pixels."""
    found = {}
    for side in sides:
        if model in SACCADERS:
            built, inputs = _looking_at_own_pixels(model, Path(folder), side, digits)
        else:
            built, inputs = build(model, side, Path(folder), crops_across(side)), _random_pixels(side)
        found[str(side)] = _time_answers(built, [inputs], rounds, count)
    return found


def crops_across(side: int) -> int:
    """N: how many crops of 224 pixels cover one side."""
    return -(-side // 224)


def _answering(model: ImageClassifier) -> Callable[[Inputs], tf.Tensor]:
    return tf.function(lambda given: model(given).logits, reduce_retracing=True)


def _time_answers(model: ImageClassifier, inputs: list[Inputs], rounds: int, count: int) -> dict[str, Any]:
    answer = _answering(model)
    for one in inputs[:2]:
        answer(one)
    spent = timed(lambda number: answer(inputs[number % len(inputs)]).numpy(), rounds * count)
    cpu = best_of(rounds, count, [one.cpu for one in spent])["ms"]
    return {**best_of(rounds, count, [one.wall for one in spent]), "cpu_ms": cpu}


def _stepping(model: str, folder: str, side: int, grid: int, images: int, batch: int) -> Callable[[int], list[float]]:
    """A function that trains for a number of steps and gives the milliseconds of each."""
    built = build(model, side, Path(folder) / PYRAMIDS, grid)
    built.compile(keras.optimizers.Adam(1e-4), jit_compile=False)
    built.optimizer.build(built.trainable_variables)
    one = _inputs(model, folder, images, min(batch, images))[0]
    one = tf.nest.map_structure(lambda value: tf.repeat(value, batch // value.shape[0], axis=0), one)
    data = tf.data.Dataset.from_tensors((one, tf.range(batch, dtype=tf.int64) % CLASSES)).repeat()

    def step(count: int) -> list[float]:
        times = StepTimes()
        built.fit(data, steps_per_epoch=count, verbose=0, callbacks=[times])
        return times.milliseconds

    return step


def _inputs(model: str, folder: str, images: int, batch: int) -> list[Inputs]:
    """What a model takes of the images; ResNet18 has their pixels in memory, and always one image at a time."""
    if model in SACCADERS:
        return [inputs for inputs, _ in read_canvases(Path(folder), images, batch)]
    return [{IMAGE: tf.constant(read_pixels(Path(folder), 0))}]


def _random_pixels(side: int) -> Inputs:
    return {IMAGE: tf.constant(np.random.default_rng(0).integers(0, 256, (1, side, side, 1), np.uint8))}


def _looking_at_own_pixels(name: str, root: Path, side: int, digits: str) -> tuple[ImageClassifier, Inputs]:
    crop = PRESETS[SACCADERS[name]].crop_size
    widest = min(WIDEST_PITCH * crop / side, 1.0)
    model = build(name, side, root, 1, min_scale=crop / side, max_scale=widest)
    proxy = tf.constant(np.random.default_rng(0).random((1, *RECIPE.shape)), tf.float32)
    boxes = model.locate(proxy, tf.constant([[side, side]])).boxes[0].numpy()
    return model, {**looked_at(root, side, boxes, digits), PROXY: proxy}


WAYS: dict[str, Callable[..., dict[str, Any]]] = {
    "inference": inference,
    "training": training,
    "memory": memory,
    "curve": curve,
}


@click.command()
@click.argument("what", type=click.Choice(list(WAYS)))
@click.argument("fields", nargs=-1)
def main(what: str, fields: tuple[str, ...]) -> None:
    """Measures one thing with one thread and prints it as JSON."""
    limit_threads(1)
    keras.utils.set_random_seed(0)
    click.echo(json.dumps(WAYS[what](**parse_overrides(fields))))


if __name__ == "__main__":
    main()
