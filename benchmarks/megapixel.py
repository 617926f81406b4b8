"""Small things in huge images: Megapixel MNIST, trained from image labels on what is read from pyramids tile by tile.

    python -m benchmarks.megapixel --digits mnist.npz --train-images 5000 --seed 1
    python -m benchmarks.megapixel --digits mnist.npz --side 10000 --model runs/megapixel/1500-5000-1/model.keras
    python -m benchmarks.megapixel_results

The data are made where they are missing (``tfvs.datasets.megapixel_pyramids``). Records hold a proxy and a tile index;
every other pixel is read by the model, from the tiles that its looks touch. A run that was stopped goes on from its
checkpoint when the command is repeated. Minutes are the processor's, with ``--threads 1`` those of one core. The second
command answers with a model that was trained at another size, without training it again. Each writes
``docs/results/megapixel-<name>.json`` and a plot; the last line printed is the JSON.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import click
import keras

from benchmarks.accuracy import Stopwatch, read_history
from benchmarks.machine import describe_machine, peak_memory_mb
from benchmarks.megapixel_measure import DIGIT_PX, MegapixelData, measure
from benchmarks.megapixel_results import plot
from benchmarks.running import parse_overrides
from tfvs.data.dataset import evaluation_dataset, training_dataset
from tfvs.datasets.megapixel_mnist import CLASS_NAMES, SCRIBBLES
from tfvs.datasets.megapixel_pyramids import MegapixelPyramidConfig, write
from tfvs.models.presets import PRESETS
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.strategy import limit_threads
from tfvs.training.trainer import TrainConfig, train

CROP_PX = 50
SHORT = ("name", "accuracy", "accuracy_of_samples", "digits_seen", "cpu_minutes", "training_images_per_second")


class TrainingClock(keras.callbacks.Callback):
    """Seconds of the processor and images of the training steps alone, without tests and start."""

    def __init__(self, epoch_images: int) -> None:
        super().__init__()
        self._epoch_images, self._began = epoch_images, 0.0
        self.seconds, self.images = 0.0, 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls it."""
        self._began = time.process_time()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Keras calls it after an epoch's last step."""
        self.seconds += time.process_time() - self._began
        self.images += self._epoch_images


def build(data: MegapixelData, num_steps: int, overrides: dict[str, Any], dtype: str) -> VariationalSaccader:
    """The preset for small things, with crops of 50 px of the image, each pixel one of the image's."""
    cells = data.config.proxy_px // 2 if data.config.proxy_px <= 180 else data.config.proxy_px // 3
    fields = {
        "num_classes": len(CLASS_NAMES),
        "num_steps": num_steps,
        "crop_size": CROP_PX,
        "min_scale": CROP_PX / data.config.height,
        "max_scale": CROP_PX / data.config.height,
        "cells": (cells, cells),
        "pyramid_roots": (data.pyramid_root,),
        **overrides,
    }
    model = VariationalSaccader(PRESETS["small_things"].replace(**fields), dtype=dtype)
    inputs, _, _ = next(iter(evaluation_dataset(data.files("test")[:1], data.recipe, batch_size=2, limit=2)))
    model(inputs)
    return model


def adapt(path: str, data: MegapixelData, overrides: dict[str, Any]) -> VariationalSaccader:
    """A trained model for images of another size whose proxies have the same pixels per pixel of the image."""
    model = keras.models.load_model(path, compile=False)
    if model.config.cells is None:
        raise click.UsageError(f"{path} has no cells to look at")
    cells = round(model.config.cells[0] * model.config.min_scale * data.config.height / CROP_PX)
    return model.adapted(
        cells=(cells, cells),
        proxy_size=(data.config.proxy_px, data.config.proxy_px),
        min_scale=CROP_PX / data.config.height,
        max_scale=CROP_PX / data.config.height,
        pyramid_roots=(data.pyramid_root,),
        **overrides,
    )


def _join(*parts: object) -> str:
    return "-".join(str(part) for part in parts if part != "")


@click.command()
@click.option("--digits", required=True, help="uci, mnist (keras.datasets) or the path of an .npz.")
@click.option("--side", default=1500, show_default=True, help="Side of the canvases, pixels.")
@click.option("--proxy-px", default=0, help="Side of the proxies, pixels; 0: 180 at 1 500, in proportion.")
@click.option("--scribbles", type=click.Choice(SCRIBBLES), default=SCRIBBLES[0], show_default=True)
@click.option("--train-images", default=5000, show_default=True)
@click.option("--test-images", default=1000, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Seed of weights, order and samples; the canvases' is 0.")
@click.option("--passes", default=10, show_default=True, help="Number of passes over the training images.")
@click.option("--passes-per-test", default=1, show_default=True)
@click.option("--minutes", default=30.0, show_default=True, help="Minutes of the processor, in all.")
@click.option("--threads", default=1, show_default=True, help="Threads of TensorFlow; 0: as many as there are cores.")
@click.option("--num-steps", default=10, show_default=True, help="T, number of looks.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option(
    "--num-samples", default=4, show_default=True, help="Number of trajectories averaged, beside the likeliest."
)
@click.option("--dtype", default="float32", show_default=True, help="Keras dtype policy, such as mixed_bfloat16.")
@click.option("--override", multiple=True, help="FIELD=JSON of the saccader's configuration.")
@click.option("--model", "trained", default="", help="A trained .keras model to answer with, instead of training.")
@click.option("--label", default="", help="Part of the run's name, beside size, images and seed.")
@click.option("--workers", default=1, show_default=True, help="Processes that make missing canvases.")
@click.option("--data", "data_root", default="runs/data/megapixel", show_default=True)
@click.option("--runs", default="runs/megapixel", show_default=True, help="Folder of checkpoints, logs and models.")
@click.option("--results", default="docs/results", show_default=True)
def main(
    digits: str,
    side: int,
    proxy_px: int,
    scribbles: str,
    train_images: int,
    test_images: int,
    seed: int,
    passes: int,
    passes_per_test: int,
    minutes: float,
    threads: int,
    num_steps: int,
    batch_size: int,
    learning_rate: float,
    num_samples: int,
    dtype: str,
    override: tuple[str, ...],
    trained: str,
    label: str,
    workers: int,
    data_root: str,
    runs: str,
    results: str,
) -> None:
    """Trains one model, or takes a trained one, and reports its test accuracy."""
    limit_threads(threads)
    keras.utils.set_random_seed(seed)
    proxy_px = proxy_px or round(180 * side / 1500)
    canvases = MegapixelPyramidConfig(height=side, width=side, scribbles=scribbles, digits=digits, proxy_px=proxy_px)
    counts = {"train": 0 if trained else train_images, "test": test_images}
    data = MegapixelData(Path(data_root) / f"{side}-{proxy_px}-{scribbles}", canvases, counts)
    write(data.folder, canvases, counts, workers=workers)
    overrides = parse_overrides(override)
    report: dict[str, Any] = {"side": side, "scribbles": scribbles, "label": label, "seed": seed, "threads": threads}
    if trained:
        model = adapt(trained, data, overrides)
        source = Path(trained).parent.name
        report |= {"name": _join(side, "of", source, label), "trained": source}
    else:
        name = _join(side, train_images, scribbles if scribbles != SCRIBBLES[0] else "", label, seed)
        report["name"] = name
        model = build(data, num_steps, overrides, dtype)
        steps = train_images // batch_size
        config = TrainConfig(
            epochs=math.ceil(passes / passes_per_test),
            batch_size=batch_size,
            learning_rate=learning_rate,
            warmup_steps=100,
            clip_norm=5.0,
            seed=seed,
        )
        folder = Path(runs) / name
        folder.mkdir(parents=True, exist_ok=True)
        stopwatch = Stopwatch(folder / "cpu_minutes.txt", minutes)
        clock = TrainingClock(steps * passes_per_test * batch_size)
        train(
            model,
            lambda epoch: training_dataset(
                data.files("train"),
                data.recipe,
                batch_size=batch_size,
                steps_per_epoch=steps,
                epochs=config.epochs * passes_per_test,
                initial_epoch=epoch * passes_per_test,
                seed=seed,
            ),
            config,
            steps_per_epoch=steps * passes_per_test,
            validation_data=evaluation_dataset(data.files("test"), data.recipe, batch_size=50),
            checkpoint_dir=str(folder / "checkpoints"),
            log_dir=str(folder / "logs"),
            callbacks=[stopwatch, clock],
        )
        model.save(folder / "model.keras")
        report |= {
            "training": config.to_dict(),
            "train_images": train_images,
            "passes_asked": passes,
            "passes_per_test": passes_per_test,
            "cpu_minutes": stopwatch.minutes,
            "training_images_per_second": clock.images / clock.seconds if clock.seconds else None,
            "history": read_history(folder / "logs" / "history.csv"),
        }
    report |= {
        **measure(model, data, num_samples),
        "config": model.config.to_dict(),
        "dtype": model.dtype_policy.name,
        "parameters": int(model.count_params()),
        "peak_memory_mb": peak_memory_mb(),
        "digit_px": DIGIT_PX,
        "machine": describe_machine(),
    }
    target = Path(results) / f"megapixel-{report['name']}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1))
    plot(report, target.with_suffix(".png"))
    print(json.dumps({key: report[key] for key in SHORT if key in report}))


if __name__ == "__main__":
    main()
