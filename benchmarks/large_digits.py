"""Both digits at 2 528², trained: the saccader from tiles and ResNet18 on 144 crops, on the same images.

    python -m benchmarks.large_digits --digits mnist.npz --epochs 40                       # canvases of 100², enlarged
    python -m benchmarks.large_digits --digits mnist.npz --canvases native --epochs 10     # digits of 28 pixels
    python -m benchmarks.large_digits --digits mnist.npz --model resnet18 --batch-size 8 --epochs 10 --epoch-images 40

The authors enlarge a canvas of 100² (``enlarged``); on ``native`` canvases digits keep their 28 pixels. Images are made
where they are missing, as pyramids and records: the saccader reads nothing but tiles, ResNet18 all pixels. A run that
was stopped goes on from its checkpoint when the command is repeated, and ends after ``--minutes`` of the processor at
the end of an epoch; making the images (0.1 s each) is not counted. Writes ``docs/results/large-<name>.json``; the last
line printed is the JSON.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.accuracy import COMMON, OWN, SACCADER, ZOOM, Stopwatch, read_history
from benchmarks.headline_images import enlarged, write_canvases
from benchmarks.headline_measure import crops_across
from benchmarks.machine import describe_machine, peak_memory_mb
from benchmarks.megapixel_measure import look_at
from benchmarks.pyramid_set import PyramidSet
from benchmarks.running import parse_overrides
from benchmarks.starcraft2_measure import TEST_BATCH, dense_images, measure
from tfvs.data.dataset import evaluation_dataset, training_dataset
from tfvs.datasets.two_digit_mnist import TwoDigitConfig
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.grid_resnet import GridResNet18
from tfvs.models.presets import PRESETS
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.strategy import limit_threads
from tfvs.training.trainer import TrainConfig, train

MODELS = ("saccader", "resnet18")
CANVASES = ("enlarged", "native")
# A thumbnail of enlarged canvases shows the digits; of native ones it has the pixels per digit of Megapixel MNIST.
ENLARGED_PROXY_PX, NATIVE_PROXY_SHARE = 32, 180 / 1500
NATIVE_CROP_PX = 50
VALIDATION_IMAGES = {"saccader": 500, "resnet18": 16}  # between two epochs; ResNet18 takes seconds per image
SHORT = ("name", "accuracy", "accuracy_of_samples", "digits_covered", "cpu_minutes")


@dataclass(frozen=True)
class LargeDigits(PyramidSet[TwoDigitConfig]):
    """The canvases as pyramids and records.

    Attributes:
      recipe: Recipe of the proxies.
    """

    recipe: ProxyRecipe

    @property
    def side(self) -> int:
        """Side of the canvases, pixels."""
        return self.config.canvas_sizes[0][0]

    def dense(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """The dataset with all pixels in place of tile indices."""
        return dense_images(dataset, self.pyramid_root, self.side, self.side, bands=1)


def make_data(folder: Path, canvases: str, side: int, digits: str, counts: dict[str, int], workers: int) -> LargeDigits:
    """Writes what is missing of the images.

    Args:
      folder: Where the data sets lie.
      canvases: One of ``CANVASES``.
      side: Pixels.
      digits: uci, mnist or the path of an .npz.
      counts: Images per split.
      workers: Processes that write them.
    """
    native = canvases == "native"
    config = TwoDigitConfig(digits=digits, canvas_sizes=((side, side),)) if native else enlarged(side, digits)
    proxy_px = round(NATIVE_PROXY_SHARE * side) if native else ENLARGED_PROXY_PX
    data = LargeDigits(folder / f"{canvases}-{side}", config, counts, ProxyRecipe(height=proxy_px, width=proxy_px))
    write_canvases(data.folder, config, counts, data.recipe, workers=workers)
    return data


def build(name: str, data: LargeDigits, canvases: str, preset: str, overrides: dict[str, Any]) -> keras.Model:
    """The model of a run, with its weights.

    Args:
      name: One of ``MODELS``.
      data: What it is trained on.
      canvases: One of ``CANVASES``.
      preset: Where a saccader's fields come from on enlarged canvases: ``OWN`` or a name of ``PRESETS``.
      overrides: Fields of a saccader's configuration.
    """
    classes, side = data.config.num_classes, data.side
    if name == "resnet18":
        model: keras.Model = GridResNet18(classes, grid=crops_across(side))
        model.build({"image": (None, side, side, 1)})
        return model
    fields: dict[str, Any] = {"num_classes": classes, "pyramid_roots": (data.pyramid_root,)}
    if canvases == "native":
        share, cells = NATIVE_CROP_PX / side, max(data.recipe.height // 3, 4)
        fields |= {"crop_size": NATIVE_CROP_PX, "min_scale": share, "max_scale": share, "cells": (cells, cells)}
        base = PRESETS["small_things"]
    elif preset == OWN:
        base = PRESETS["cpu"].replace(**COMMON, **SACCADER["identify"])
    else:
        base = PRESETS[preset]
    model = VariationalSaccader(base.replace(**{**fields, **overrides}))
    model.build({"proxy": (None, *data.recipe.shape), "image": (None, side, side, 1)})
    return model


def covered(boxes: np.ndarray, config: TwoDigitConfig) -> float:
    """Share of the test images' digits whose centre lies in one of the looks ``[N, T, 4]``."""
    places = np.stack([config.canvas("test", index).positions for index in range(len(boxes))])
    return float(look_at(boxes, (places + config.digit_px / 2) / config.canvas_sizes[0], 0.0).mean())


@click.command()
@click.option("--digits", required=True, help="uci, mnist (keras.datasets) or the path of an .npz.")
@click.option("--model", "model_name", type=click.Choice(MODELS), default=MODELS[0], show_default=True)
@click.option("--canvases", type=click.Choice(CANVASES), default=CANVASES[0], show_default=True)
@click.option("--preset", type=click.Choice([OWN, *PRESETS]), default=OWN, show_default=True, help="Of a saccader.")
@click.option("--side", default=2528, show_default=True, help="Side of the canvases, pixels.")
@click.option("--train-images", default=20_000, show_default=True)
@click.option("--epoch-images", default=20_000, show_default=True, help="Images trained on between two tests.")
@click.option("--test-images", default=2_000, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Seed of weights, order and samples; the canvases' is 0.")
@click.option("--epochs", default=40, show_default=True)
@click.option("--minutes", default=120.0, show_default=True, help="Minutes of the processor, in all.")
@click.option("--threads", default=1, show_default=True, help="Of TensorFlow; 0: as many as there are cores.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--num-samples", default=8, show_default=True, help="Number of trajectories averaged, beside the mean's.")
@click.option("--override", multiple=True, help="FIELD=JSON of the saccader's configuration.")
@click.option("--label", default="", help="Names the run, beside canvases, model and seed.")
@click.option("--workers", default=1, show_default=True, help="Processes that make missing images.")
@click.option("--data", "data_root", default="runs/data/large_digits", show_default=True)
@click.option("--runs", default="runs/large_digits", show_default=True, help="Checkpoints, logs and models.")
@click.option("--results", default="docs/results", show_default=True)
def main(
    digits: str,
    model_name: str,
    canvases: str,
    preset: str,
    side: int,
    train_images: int,
    epoch_images: int,
    test_images: int,
    seed: int,
    epochs: int,
    minutes: float,
    threads: int,
    batch_size: int,
    learning_rate: float,
    num_samples: int,
    override: tuple[str, ...],
    label: str,
    workers: int,
    data_root: str,
    runs: str,
    results: str,
) -> None:
    """Trains one model on large canvases and reports its test accuracy."""
    limit_threads(threads)
    keras.utils.set_random_seed(seed)
    counts = {"train": train_images, "test": test_images}
    before = time.process_time()
    data = make_data(Path(data_root), canvases, side, digits, counts, workers)
    making = (time.process_time() - before) / 60
    model = build(model_name, data, canvases, preset, parse_overrides(override))
    saccades, small = model_name == "saccader", canvases == "native"
    config = TrainConfig(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=600 if saccades and not small else 100,
        clip_norm=5.0 if saccades and small else 1.0,
        seed=seed,
    )
    if saccades and not small:
        widest, narrowest, start, stop = ZOOM
        config = config.replace(zoom_from=widest, zoom_to=narrowest, zoom_start=start, zoom_stop=stop)
    name = "-".join(part for part in (canvases, model_name, label, str(seed)) if part)
    folder = Path(runs) / name
    folder.mkdir(parents=True, exist_ok=True)
    steps = epoch_images // batch_size
    stopwatch = Stopwatch(folder / "cpu_minutes.txt", minutes, left_out=making)  # the models share the images

    def reading(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset if saccades else data.dense(dataset)

    tests = data.files("test")
    train(
        model,
        lambda epoch: reading(
            training_dataset(
                data.files("train"),
                data.recipe,
                batch_size=batch_size,
                steps_per_epoch=steps,
                epochs=epochs,
                initial_epoch=epoch,
                seed=seed,
            )
        ),
        config,
        steps_per_epoch=steps,
        validation_data=reading(
            evaluation_dataset(tests, data.recipe, batch_size=batch_size, limit=VALIDATION_IMAGES[model_name])
        ),
        checkpoint_dir=str(folder / "checkpoints"),
        log_dir=str(folder / "logs"),
        callbacks=[stopwatch],
    )
    model.save(folder / "model.keras")
    test_set = reading(evaluation_dataset(tests, data.recipe, batch_size=TEST_BATCH if saccades else 1))
    answers = measure(model, test_set, test_images)
    sampled = None
    if saccades:
        sampled = measure(model.adapted(num_samples=num_samples), test_set, test_images).scores()["accuracy"]
    report: dict[str, Any] = {
        "name": name,
        "model": model_name,
        "canvases": canvases,
        "preset": preset if saccades and not small else None,
        "side": side,
        "label": label,
        "seed": seed,
        "threads": threads,
        "train_images": train_images,
        "epoch_images": epoch_images,
        "epochs_asked": epochs,
        "test_images": test_images,
        "accuracy": answers.scores()["accuracy"],
        "accuracy_of_samples": sampled,
        "num_samples": num_samples if saccades else None,
        "digits_covered": covered(answers.boxes, data.config) if saccades else None,
        "cpu_minutes": stopwatch.minutes,
        "config": model.config.to_dict() if saccades else {},
        "training": config.to_dict(),
        "parameters": int(model.count_params()),
        "peak_memory_mb": peak_memory_mb(),
        "history": read_history(folder / "logs" / "history.csv"),
        "machine": describe_machine(),
    }
    target = Path(results) / f"large-{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1))
    print(json.dumps({key: report[key] for key in SHORT}))


if __name__ == "__main__":
    main()
