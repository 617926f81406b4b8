"""The paper's accuracy on two-digit MNIST: the saccader, and ResNet18 on the whole image, on the same canvases.

    python -m benchmarks.accuracy --task identify --digits mnist.npz --seed 1
    python -m benchmarks.accuracy --task identify --digits mnist.npz --seed 1 --model resnet18 --minutes 60

Training stops after ``--minutes`` at the end of an epoch and goes on from its checkpoint when the command is repeated.
Writes ``docs/results/accuracy-<task>-<model>-<seed>.json`` and a plot; the last line printed is the JSON.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.machine import describe_machine, peak_memory_mb
from tfvs.data.two_digit_mnist import Canvases, TwoDigitConfig, generate
from tfvs.models.resnet import ResNet18
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.trainer import TrainConfig, train

PROXY_PX = 32
# Paper: variational saccading / ResNet18 / DRAM, per cent.
PAPER = {"identify": (95.42, 97.4, 95.0), "sum": (97.2, 99.86, 97.5), "one": (None, None, None)}
SACCADER: dict[str, dict[str, Any]] = {
    "identify": {"num_steps": 4, "min_scale": 0.28, "max_scale": 0.6},
    "sum": {"num_steps": 3, "min_scale": 0.28, "max_scale": 0.6},
    "one": {"num_steps": 2, "min_scale": 0.28, "max_scale": 0.6},
}
# Widest crop: from, to, and the fractions of training between which it narrows.
ZOOM = {"identify": (0.6, 0.4, 0.13, 0.6), "sum": (0.6, 0.4, 0.13, 0.6), "one": (0.6, 0.36, 0.13, 0.6)}


def make_canvases(task: str, digits: str, seed: int, split: str, count: int) -> Canvases:
    """Canvases of 100², drawn from digits of the split alone."""
    config = TwoDigitConfig(task=task, digits=digits, seed=seed, num_distractors=0 if task == "sum" else 8)
    return generate(config, split, count)


def to_dataset(canvases: Canvases, batch_size: int, *, epochs: tuple[int, int] | None, seed: int) -> tf.data.Dataset:
    """Batches of ``({"image", "proxy"}, label, weight)``; shuffled for ``epochs``, or once in order, padded."""
    images, labels = np.asarray(canvases.images), canvases.labels
    shape = images.shape[1:]

    def gather(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return images[rows], labels[rows]

    def load(rows: tf.Tensor, weights: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        pixels, label = tf.numpy_function(gather, [rows], [tf.uint8, tf.int64], stateful=False)
        image = tf.cast(tf.ensure_shape(pixels, [batch_size, *shape]), tf.float32)[..., tf.newaxis] / 255.0
        proxy = tf.image.resize(image, [PROXY_PX, PROXY_PX], antialias=True)
        return {"image": image, "proxy": proxy}, tf.ensure_shape(label, [batch_size]), weights

    count = len(labels)
    if epochs is None:
        batches = -(-count // batch_size)
        rows = np.arange(batches * batch_size)
        dataset = tf.data.Dataset.from_tensor_slices((rows % count, (rows < count).astype(np.float32)))
        dataset = dataset.batch(batch_size, drop_remainder=True)
        return dataset.map(load).prefetch(2).apply(tf.data.experimental.assert_cardinality(batches))

    first, last = epochs

    def all_epochs(_: tf.Tensor) -> tf.data.Dataset:  # see tfvs.data.dataset.training_dataset
        order = tf.data.Dataset.range(count).shuffle(count, seed=seed, reshuffle_each_iteration=True)
        return order.batch(batch_size, drop_remainder=True).repeat(last)

    remaining = tf.data.Dataset.from_tensors(0).flat_map(all_epochs).skip(first * (count // batch_size))
    return remaining.map(lambda rows: load(rows, tf.ones([batch_size])), num_parallel_calls=2).prefetch(2)


class StopAfter(keras.callbacks.Callback):
    """Stops at the end of the epoch in which the time is up; the checkpoint remembers where."""

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self._deadline = time.monotonic() + 60 * minutes

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls it."""
        if time.monotonic() > self._deadline:
            self.model.stop_training = True


def coverage(boxes: np.ndarray, canvases: Canvases, digit_px: int = 28) -> float:
    """Share of digits whose centre lies in one of the crops: localisation learned without location labels."""
    height, width = np.asarray(canvases.images).shape[1:]
    centres = (canvases.positions + digit_px / 2) / np.array([height, width])  # [N, D, 2]
    low, high = boxes[:, np.newaxis, :, :2], boxes[:, np.newaxis, :, 2:]
    inside = ((centres[:, :, np.newaxis] >= low) & (centres[:, :, np.newaxis] <= high)).all(-1).any(-1)
    return float(inside.mean())


def build(model_name: str, task: str, num_classes: int, overrides: dict[str, Any]) -> keras.Model:
    """The model, with its weights made."""
    if model_name == "saccader":
        model: keras.Model = VariationalSaccader(num_classes=num_classes, **{**SACCADER[task], **overrides})
    else:
        model = ResNet18(num_classes=num_classes)
    model.build({"proxy": (None, PROXY_PX, PROXY_PX, 1), "image": (None, 100, 100, 1)})
    return model


@click.command()
@click.option("--task", type=click.Choice(sorted(PAPER)), required=True)
@click.option("--digits", required=True, help="uci, mnist (keras.datasets) or the path of an .npz.")
@click.option("--seed", default=1, show_default=True)
@click.option("--model", "model_name", type=click.Choice(["saccader", "resnet18"]), default="saccader")
@click.option("--epochs", default=25, show_default=True)
@click.option("--minutes", default=75.0, show_default=True, help="Of this call; repeat the command to go on.")
@click.option("--train-images", default=60_000, show_default=True)
@click.option("--test-images", default=5_000, show_default=True)
@click.option("--batch-size", default=128, show_default=True)
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option("--override", multiple=True, help="FIELD=JSON of the saccader's configuration.")
@click.option("--zoom", type=(float, float, float, float), help="Widest crop: FROM TO, and when: START STOP.")
@click.option("--label", default="", help="Names the run, beside task, model and seed.")
@click.option("--runs", default="runs/accuracy", show_default=True, help="Checkpoints and logs.")
@click.option("--results", default="docs/results", show_default=True)
def main(
    task: str,
    digits: str,
    seed: int,
    model_name: str,
    epochs: int,
    minutes: float,
    train_images: int,
    test_images: int,
    batch_size: int,
    learning_rate: float,
    override: tuple[str, ...],
    zoom: tuple[float, float, float, float] | None,
    label: str,
    runs: str,
    results: str,
) -> None:
    """Trains one model on one task and reports its test accuracy."""
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    train_set = make_canvases(task, digits, seed, "train", train_images)
    test_set = make_canvases(task, digits, seed, "test", test_images)
    num_classes = TwoDigitConfig(task=task).num_classes
    overrides = {key: json.loads(value) for key, _, value in (text.partition("=") for text in override)}
    model = build(model_name, task, num_classes, overrides)
    saccades = model_name == "saccader"
    config = TrainConfig(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, warmup_steps=500, seed=seed)
    if saccades:
        widest, narrowest, start, stop = zoom or ZOOM[task]
        config = config.replace(zoom_from=widest, zoom_to=narrowest, zoom_start=start, zoom_stop=stop)
    name = "-".join(part for part in (task, model_name, label, str(seed)) if part)
    folder = Path(runs) / name
    train(
        model,
        lambda epoch: to_dataset(train_set, batch_size, epochs=(epoch, epochs), seed=seed),
        config,
        steps_per_epoch=train_images // batch_size,
        validation_data=to_dataset(test_set, batch_size, epochs=None, seed=seed),
        checkpoint_dir=str(folder / "checkpoints"),
        log_dir=str(folder / "logs"),
        callbacks=[StopAfter(minutes)],
    )
    output = model.predict(to_dataset(test_set, batch_size, epochs=None, seed=seed), verbose=0)
    predicted = np.argmax(output.logits[:test_images], -1)
    report = {
        "task": task,
        "model": model_name,
        "label": label,
        "seed": seed,
        "config": model.config.to_dict() if saccades else {},
        "training": config.to_dict(),
        "accuracy": float(np.mean(predicted == test_set.labels)),
        "paper_saccader_resnet_dram": PAPER[task],
        "digits_covered": coverage(output.boxes[:test_images], test_set) if saccades else None,
        "parameters": int(model.count_params()),
        "epochs_asked": epochs,
        "minutes_of_this_call": (time.monotonic() - started) / 60,
        "cpu_minutes_of_this_call": time.process_time() / 60,
        "peak_memory_mb": peak_memory_mb(),
        "train_images": train_images,
        "test_images": test_images,
        "history": _read_history(folder / "logs" / "history.csv"),
        "machine": describe_machine(),
    }
    target = Path(results) / f"accuracy-{name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".json").write_text(json.dumps(report, indent=1))
    _plot(report, target.with_suffix(".png"))
    print(json.dumps({key: value for key, value in report.items() if key not in ("history", "config", "training")}))


def _read_history(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _plot(report: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    epochs = [row["epoch"] + 1 for row in report["history"]]
    for key, label in (("accuracy", "training"), ("val_accuracy", "test")):
        axes.plot(epochs, [100 * row[key] for row in report["history"]], label=label)
    if report["paper_saccader_resnet_dram"][0]:
        axes.axhline(report["paper_saccader_resnet_dram"][0], color="grey", linestyle="--", label="paper")
    axes.set(xlabel="epoch", ylabel="accuracy, %", title=f"{report['task']}, {report['model']}, seed {report['seed']}")
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
