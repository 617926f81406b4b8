"""The paper's accuracy on two-digit MNIST: the saccader, ResNet18 on whole images, RAM and DRAM, on the same canvases.

    python -m benchmarks.accuracy --task identify --digits mnist.npz --seed 1 --threads 1
    python -m benchmarks.accuracy --task identify --digits mnist.npz --seed 1 --threads 1 --model resnet18 --epochs 1
    python -m benchmarks.accuracy --task identify --digits mnist.npz --seed 1 --threads 1 --model dram
    python -m benchmarks.accuracy --task one --canvas 60 --distractors 4 --digits mnist.npz --threads 1 --model ram

Training stops after ``--minutes`` at the end of an epoch; a run that was stopped goes on from its checkpoint when the
command is repeated. Minutes are the processor's: with ``--threads 1``, which lets two runs share two cores, one core's.
Writes ``docs/results/accuracy-<task>-<model>-<seed>.json`` and a plot, and the trained model into ``--runs``. The last
line printed is the JSON.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.machine import describe_machine, peak_memory_mb
from benchmarks.running import parse_overrides
from tfvs.datasets.two_digit_mnist import Canvases, TwoDigitConfig, generate
from tfvs.evaluation.temperature import calibration_errors, temperature_of
from tfvs.images.proxy import ProxyRecipe, disturb
from tfvs.metrics import Coverage
from tfvs.models import DRAM, RAM, ResNet18
from tfvs.models.presets import PRESETS
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.strategy import limit_threads
from tfvs.training.trainer import TrainConfig, train

PROXY_PX = 32
CANVAS_PX = 100
BASELINES: dict[str, type[keras.Model]] = {"resnet18": ResNet18, "ram": RAM, "dram": DRAM}
# Paper: variational saccading / ResNet18 / DRAM, per cent.
PAPER = {"identify": (95.42, 97.4, 95.0), "sum": (97.2, 99.86, 97.5), "one": (None, None, None)}
SACCADER: dict[str, dict[str, Any]] = {"identify": {"num_steps": 4}, "sum": {"num_steps": 4}, "one": {"num_steps": 2}}
COMMON = {"min_scale": 0.28, "max_scale": 0.6, "posterior_stddev": 0.08}
# Settings of the saccader beside the presets: those of the tables.
OWN = "own"
# Widest crop: from, to, and the fractions of training between which it narrows.
ZOOM = (0.6, 0.38, 0.05, 0.35)


class Examples(NamedTuple):
    """Canvases and their proxies.

    Attributes:
      canvases: The images, labels and positions.
      proxies: ``[N, PROXY_PX, PROXY_PX]`` uint8.
    """

    canvases: Canvases
    proxies: np.ndarray


def describe_canvases(
    task: str, digits: str, seed: int, side: int = CANVAS_PX, distractors: int | None = None
) -> TwoDigitConfig:
    """The canvases of a task; without a number of distractors the paper's: none for the sum, else 8."""
    if distractors is None:
        distractors = 0 if task == "sum" else 8
    return TwoDigitConfig(
        task=task, digits=digits, seed=seed, canvas_sizes=((side, side),), num_distractors=distractors
    )


def make_examples(config: TwoDigitConfig, split: str, count: int, recipe: ProxyRecipe) -> Examples:
    """Canvases, drawn from digits of the split alone, and their proxies with the recipe's noise."""
    canvases = generate(config, split, count)
    proxies = np.zeros([count, PROXY_PX, PROXY_PX], np.uint8)
    for first in range(0, count, 1000):
        images = tf.cast(canvases.images[first : first + 1000], tf.float32)[..., tf.newaxis]
        small = tf.image.resize(images, [PROXY_PX, PROXY_PX], antialias=True)[..., 0]
        proxies[first : first + 1000] = tf.cast(tf.round(small), tf.uint8)
    if recipe.noise or recipe.keep < 1:
        for number, proxy in enumerate(proxies):
            proxy[...] = disturb(proxy[..., np.newaxis], recipe, f"{split.encode().hex()}{number:08x}"[-16:])[..., 0]
    return Examples(canvases, proxies)


def to_dataset(examples: Examples, batch_size: int, *, steps: tuple[int, int] | None, seed: int) -> tf.data.Dataset:
    """Batches of ``({"image", "proxy"}, label, weight)``: shuffled, from step to step; or once in order, padded."""
    images, labels = np.asarray(examples.canvases.images), examples.canvases.labels

    def gather(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return images[rows], examples.proxies[rows], labels[rows]

    def load(rows: tf.Tensor, weights: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        image, proxy, label = tf.numpy_function(gather, [rows], [tf.uint8, tf.uint8, tf.int64], stateful=False)
        image = tf.ensure_shape(image, [batch_size, *images.shape[1:]])[..., tf.newaxis]
        proxy = tf.ensure_shape(proxy, [batch_size, PROXY_PX, PROXY_PX])[..., tf.newaxis]
        return {"image": image, "proxy": proxy}, tf.ensure_shape(label, [batch_size]), weights

    count = len(labels)
    if steps is None:
        batches = -(-count // batch_size)
        rows = np.arange(batches * batch_size)
        dataset = tf.data.Dataset.from_tensor_slices((rows % count, (rows < count).astype(np.float32)))
        dataset = dataset.batch(batch_size, drop_remainder=True)
        return dataset.map(load).prefetch(2).apply(tf.data.experimental.assert_cardinality(batches))

    first, last = steps

    def passes(_: tf.Tensor) -> tf.data.Dataset:  # see tfvs.data.dataset.training_dataset
        order = tf.data.Dataset.range(count).shuffle(count, seed=seed, reshuffle_each_iteration=True)
        return order.batch(batch_size, drop_remainder=True).repeat(-(-last * batch_size // count) + 1)

    remaining = tf.data.Dataset.from_tensors(0).flat_map(passes).skip(first).take(last - first)
    return remaining.map(lambda rows: load(rows, tf.ones([batch_size])), num_parallel_calls=2).prefetch(2)


class Stopwatch(keras.callbacks.Callback):
    """Counts the processor's minutes over all calls of a run, and stops at the end of the epoch in which time is up.

    Args:
      path: File that keeps them from call to call.
      minutes: When time is up.
      left_out: Minutes of this process that do not count.
    """

    def __init__(self, path: Path, minutes: float, left_out: float = 0.0) -> None:
        super().__init__()
        self._path, self._limit = path, minutes
        self._before = (float(path.read_text()) if path.exists() else 0.0) - left_out

    @property
    def minutes(self) -> float:
        """Processor minutes of this process and of the earlier ones that it resumes."""
        return self._before + time.process_time() / 60

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls it."""
        self._path.write_text(str(self.minutes))
        if self.minutes > self._limit:
            self.model.stop_training = True


def coverage(boxes: np.ndarray, canvases: Canvases, digit_px: int = 28) -> float:
    """Share of digits whose centre lies in one of the crops: localisation learned without location labels."""
    side = np.array(np.asarray(canvases.images).shape[1:])
    targets = np.concatenate([canvases.positions, canvases.positions + digit_px], axis=-1) / np.tile(
        side, 2
    )  # [N, D, 4]
    covered = Coverage()
    covered.update_state(targets, boxes)
    return float(covered.result())


def build(
    model_name: str, config: TwoDigitConfig, overrides: dict[str, Any], dtype: str = "float32", preset: str = OWN
) -> keras.Model:
    """The model, with its weights made.

    Args:
      model_name: ``"saccader"`` or one of ``BASELINES``.
      config: The canvases.
      overrides: Fields of its configuration, or arguments of a baseline.
      dtype: Keras dtype policy.
      preset: Where a saccader's other fields come from: ``OWN`` or a name of ``PRESETS``.
    """
    if model_name != "saccader":
        model: keras.Model = BASELINES[model_name](num_classes=config.num_classes, dtype=dtype, **overrides)
    else:
        own = {**COMMON, **SACCADER[config.task]} if preset == OWN else {}
        base = PRESETS["cpu" if preset == OWN else preset]
        fields = {"num_classes": config.num_classes, **own, **overrides}
        model = VariationalSaccader(base.replace(**fields), dtype=dtype)
    model.build({"proxy": (None, PROXY_PX, PROXY_PX, 1), "image": (None, *config.canvas_sizes[0], 1)})
    return model


@click.command()
@click.option("--task", type=click.Choice(sorted(PAPER)), required=True)
@click.option("--digits", required=True, help="uci, mnist (keras.datasets) or the path of an .npz.")
@click.option("--canvas", default=CANVAS_PX, show_default=True, help="Side of the canvases, pixels.")
@click.option("--distractors", type=int, help="Pieces of other digits per canvas.  [default: 8, for the sum none]")
@click.option("--seed", default=1, show_default=True)
@click.option("--model", "model_name", type=click.Choice(["saccader", *BASELINES]), default="saccader")
@click.option("--preset", type=click.Choice([OWN, *PRESETS]), default=OWN, show_default=True, help="Of a saccader.")
@click.option("--epochs", default=12, show_default=True)
@click.option("--minutes", default=75.0, show_default=True, help="Minutes of the processor, in all.")
@click.option("--threads", default=0, show_default=True, help="Threads of TensorFlow; 0: as many as there are cores.")
@click.option("--train-images", default=60_000, show_default=True)
@click.option("--epoch-images", default=60_000, show_default=True, help="Images trained on between two tests.")
@click.option("--test-images", default=5_000, show_default=True)
@click.option("--eval-images", default=1_000, show_default=True, help="Images that give the temperature.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--proxy-keep", default=1.0, show_default=True, help="Share of the proxy's pixels that stay.")
@click.option("--proxy-noise", default=0.0, show_default=True, help="Noise on the proxy, grey levels of 255.")
@click.option("--num-samples", default=8, show_default=True, help="Number of trajectories averaged, beside the mean's.")
@click.option("--dtype", default="float32", show_default=True, help="Keras dtype policy, such as mixed_bfloat16.")
@click.option(
    "--average-weights", type=float, help="Momentum of a moving average of the weights, see TrainConfig; default: none."
)
@click.option("--override", multiple=True, help="FIELD=JSON of the model's configuration.")
@click.option("--zoom", type=(float, float, float, float), help="Widest crop: FROM TO, and when: START STOP.")
@click.option("--label", default="", help="Part of the run's name, beside task, model and seed.")
@click.option("--runs", default="runs/accuracy", show_default=True, help="Folder of checkpoints and logs.")
@click.option("--results", default="docs/results", show_default=True)
def main(
    task: str,
    digits: str,
    canvas: int,
    distractors: int | None,
    seed: int,
    model_name: str,
    preset: str,
    epochs: int,
    minutes: float,
    threads: int,
    train_images: int,
    epoch_images: int,
    test_images: int,
    eval_images: int,
    batch_size: int,
    learning_rate: float,
    proxy_keep: float,
    proxy_noise: float,
    num_samples: int,
    dtype: str,
    average_weights: float | None,
    override: tuple[str, ...],
    zoom: tuple[float, float, float, float] | None,
    label: str,
    runs: str,
    results: str,
) -> None:
    """Trains one model on one task and reports its test accuracy."""
    limit_threads(threads)
    keras.utils.set_random_seed(seed)
    recipe = ProxyRecipe(height=PROXY_PX, width=PROXY_PX, keep=proxy_keep, noise=proxy_noise)
    canvases = describe_canvases(task, digits, seed, canvas, distractors)
    train_set = make_examples(canvases, "train", train_images, recipe)
    test_set = make_examples(canvases, "test", test_images, recipe)
    overrides = parse_overrides(override)
    model = build(model_name, canvases, overrides, dtype, preset)
    saccades, looks = model_name == "saccader", model_name != "resnet18"
    config = TrainConfig(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=600,
        average_weights=average_weights,
        seed=seed,
    )
    if saccades:
        widest, narrowest, start, stop = zoom or ZOOM
        config = config.replace(zoom_from=widest, zoom_to=narrowest, zoom_start=start, zoom_stop=stop)
    name = "-".join(part for part in (task, model_name, label, str(seed)) if part)
    folder = Path(runs) / name
    steps = epoch_images // batch_size
    folder.mkdir(parents=True, exist_ok=True)
    stopwatch = Stopwatch(folder / "cpu_minutes.txt", minutes)
    train(
        model,
        lambda epoch: to_dataset(train_set, batch_size, steps=(epoch * steps, epochs * steps), seed=seed),
        config,
        steps_per_epoch=steps,
        validation_data=to_dataset(test_set, batch_size, steps=None, seed=seed),
        checkpoint_dir=str(folder / "checkpoints"),
        log_dir=str(folder / "logs"),
        callbacks=[stopwatch],
    )
    model.save(folder / "model.keras")
    output = model.predict(to_dataset(test_set, batch_size, steps=None, seed=seed), verbose=0)
    sampled = output
    if saccades:  # the same weights, following several sampled trajectories
        sampling = model.adapted(num_samples=num_samples)
        sampled = sampling.predict(to_dataset(test_set, batch_size, steps=None, seed=seed), verbose=0)
    held_out = to_dataset(make_examples(canvases, "eval", eval_images, recipe), batch_size, steps=None, seed=seed)
    report = {
        "task": task,
        "canvas": canvas,
        "distractors": canvases.num_distractors,
        "proxy_keep": proxy_keep,
        "proxy_noise": proxy_noise,
        "model": model_name,
        "label": label,
        "seed": seed,
        "preset": preset if saccades else None,
        "config": model.config.to_dict() if saccades else overrides,
        "training": config.to_dict(),
        "accuracy": _accuracy(output, test_set),
        "accuracy_of_samples": _accuracy(sampled, test_set) if saccades else None,
        "num_samples": num_samples if saccades else None,
        "calibration": _calibration(temperature_of(model, held_out).value, output, test_set),
        "paper_saccader_resnet_dram": PAPER[task],
        "digits_covered": coverage(output.boxes[:test_images], test_set.canvases) if looks else None,
        "parameters": int(model.count_params()),
        "epochs_asked": epochs,
        "epoch_images": epoch_images,
        "cpu_minutes": stopwatch.minutes,
        "threads": threads,
        "dtype": model.dtype_policy.name,
        "peak_memory_mb": peak_memory_mb(),
        "train_images": train_images,
        "test_images": test_images,
        "history": read_history(folder / "logs" / "history.csv"),
        "machine": describe_machine(),
    }
    target = Path(results) / f"accuracy-{name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".json").write_text(json.dumps(report, indent=1))
    _plot(report, target.with_suffix(".png"))
    print(json.dumps({key: value for key, value in report.items() if key not in ("history", "config", "training")}))


def _accuracy(output: Any, examples: Examples) -> float:
    labels = examples.canvases.labels
    return float(np.mean(np.argmax(output.logits[: len(labels)], -1) == labels))


def _calibration(temperature: float, output: Any, examples: Examples) -> dict[str, float]:
    """Expected calibration error of the test images with and without a temperature that other images gave."""
    labels = examples.canvases.labels
    before, after = calibration_errors(output.logits[: len(labels)], labels, temperature)
    return {"temperature": temperature, "error_before": before, "error_after": after}


def read_history(path: Path) -> list[dict[str, float]]:
    """What ``fit`` logged, one dict per epoch."""
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
