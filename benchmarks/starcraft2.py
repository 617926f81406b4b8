"""Counting marines in simulated battles: the saccader told where by the minimap, ResNet18, and the minimap alone.

    python -m benchmarks.starcraft2 --model categorical --seed 1 --passes 5.4
    python -m benchmarks.starcraft2 --model gaussian --seed 1 --passes 3.2
    python -m benchmarks.starcraft2 --model resnet18 --side 224 --passes 2.4   # as the paper; --side 0: full size
    python -m benchmarks.starcraft2 --model minimap --passes 10                # ResNet18 that sees only the minimap
    python -m benchmarks.starcraft2_results                                    # a table of all runs

The looks of ``categorical`` follow the prior first, for ``--reading-passes``, until what reads them knows a marine:
before that, what a look contributes says nothing about where to look. ``gaussian`` begins with what was learned so. The
battles are made where they are missing (``tfvs.datasets.starcraft2``). A run that was stopped goes on from its
checkpoint when the command is repeated, and ends after ``--minutes`` at the end of an epoch. Minutes are those of the
processor, with ``--threads 1`` of one core. Writes ``docs/results/starcraft2-<name>.json``, and prints the JSON last.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import keras
import tensorflow as tf

from benchmarks.accuracy import Stopwatch, read_history
from benchmarks.machine import describe_machine, peak_memory_mb
from benchmarks.megapixel import TrainingClock
from benchmarks.pyramid_set import PyramidSet
from benchmarks.running import parse_overrides
from benchmarks.starcraft2_measure import TEST_BATCH, dense_images, draw_pictures, measure, measure_looks
from tfvs.data.dataset import balanced_class_weights, evaluation_dataset, read_labels, training_dataset
from tfvs.datasets.starcraft2.battles import BattleConfig
from tfvs.datasets.starcraft2.layout import CLASS_NAMES
from tfvs.datasets.starcraft2.simulate import recipe, write_battle_records
from tfvs.models.presets import PRESETS
from tfvs.models.resnet import ResNet18
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.reading import read, read_first
from tfvs.training.strategy import limit_threads
from tfvs.training.trainer import TrainConfig, train

MODELS = ("categorical", "gaussian", "resnet18", "minimap")
SACCADERS = MODELS[:2]
SHORT = ("name", "accuracy", "balanced_accuracy", "mean_absolute_error", "within_one", "cpu_minutes")
COUNTING = PRESETS["counting"]
# The paper's places, found by attention on the minimap; looks, and what reads and counts, are the other saccader's.
SHARED = (
    *("num_steps", "crop_size", "min_scale", "max_scale", "look_pooling", "reconstruction_weight", "crop_filters"),
    *("crop_strides", "crop_stem_kernel", "crop_pooling", "crop_normalization", "crop_dropout", "crop_units"),
    *("head_units", "initial_evidence", "initial_state_noise", "kl_weight"),
)
GAUSSIAN = PRESETS["cpu"].replace(**{name: getattr(COUNTING, name) for name in SHARED})
# At the full rate the looks of all images move together into one corner, see docs/starcraft2.md.
SLOW_PLACES = {"encoder": 0.1, "vrnn": 0.1, "crop_encoder": 1.0}


def build(name: str, data: PyramidSet[BattleConfig], overrides: dict[str, Any], dtype: str) -> keras.Model:
    """The model of a run, with its weights.

    Args:
      name: One of ``MODELS``.
      data: What it is trained on.
      overrides: Fields of a saccader's configuration.
      dtype: Keras dtype policy.
    """
    proxy = (None, *recipe(data.config).shape)
    if name not in SACCADERS:
        model: keras.Model = ResNet18(len(CLASS_NAMES), dtype=dtype)
        model.build({"image": proxy if name == "minimap" else (None, None, None, 3)})
        return model
    fields = {"num_classes": len(CLASS_NAMES), "pyramid_roots": (data.pyramid_root,), **overrides}
    base = COUNTING if name == "categorical" else GAUSSIAN
    model = VariationalSaccader(base.replace(**fields), dtype=dtype)
    model.build({"proxy": proxy, "image": (None, None, None, 3)})
    return model


def reading(name: str, data: PyramidSet[BattleConfig], side: int) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """What a model reads of the records: tiles by the way, dense screens of a side, or the minimap as the image."""
    if name == "minimap":
        return lambda dataset: dataset.map(lambda inputs, *rest: ({"image": inputs["proxy"]}, *rest))
    if name == "resnet18":
        return lambda dataset: dense_images(dataset, data.pyramid_root, data.config.side, side)
    return lambda dataset: dataset


@click.command()
@click.option("--model", "model_name", type=click.Choice(MODELS), default=MODELS[0], show_default=True)
@click.option("--side", default=224, show_default=True, help="Side of the screens that ResNet18 reads, pixels; 0: all.")
@click.option("--screen", default=1024, show_default=True, help="Side of the battles' screens, pixels.")
@click.option("--train-images", default=20_000, show_default=True)
@click.option("--test-images", default=2_000, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Seed of weights, order and samples; the battles' is 0.")
@click.option(
    "--passes", default=10.0, show_default=True, help="Over the training images; the learning rate ends at 0."
)
@click.option(
    "--reading-passes",
    default=1.5,
    show_default=True,
    help="Of the looks that count, before: they follow the prior, and only what reads them learns.",
)
@click.option("--reading-looks", default=20, show_default=True, help="Looks per image meanwhile.")
@click.option("--steps-per-epoch", type=int, help="Steps between two tests; without it one pass.")
@click.option("--minutes", default=60.0, show_default=True, help="Minutes of the processor, in all.")
@click.option("--threads", default=1, show_default=True, help="Of TensorFlow; 0: as many as there are cores.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--dtype", default="mixed_bfloat16", show_default=True, help="Keras dtype policy, or float32.")
@click.option("--sample-evenly", is_flag=True, help="Draw with 1 / class frequency, with replacement, as the paper.")
@click.option("--override", multiple=True, help="FIELD=JSON of the saccader's configuration.")
@click.option("--label", default="", help="Names the run, beside model, images and seed.")
@click.option("--data", "data_root", default="runs/data/starcraft2-records", show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes that make missing battles.")
@click.option("--runs", default="runs/starcraft2-benchmark", show_default=True, help="Checkpoints, logs and models.")
@click.option("--results", default="docs/results", show_default=True)
@click.option("--picture", type=click.Path(), help="Where a right and a wrong answer are drawn; saccaders only.")
def main(
    model_name: str,
    side: int,
    screen: int,
    train_images: int,
    test_images: int,
    seed: int,
    passes: float,
    reading_passes: float,
    reading_looks: int,
    steps_per_epoch: int | None,
    minutes: float,
    threads: int,
    batch_size: int,
    learning_rate: float,
    dtype: str,
    sample_evenly: bool,
    override: tuple[str, ...],
    label: str,
    data_root: str,
    workers: int,
    runs: str,
    results: str,
    picture: str | None,
) -> None:
    """Trains one model and reports what it counts."""
    overrides = parse_overrides(override)
    if overrides and model_name not in SACCADERS:
        raise click.UsageError(f"--override changes a saccader, and --model {model_name} is none.")
    side = side or screen
    limit_threads(threads)
    keras.utils.set_random_seed(seed)
    battles, counts = BattleConfig(side=screen), {"train": train_images, "test": test_images}
    data = PyramidSet(Path(data_root) / f"{screen}-{battles.seed}", battles, counts)
    write_battle_records(str(data.folder), battles, counts, workers=workers)
    model = build(model_name, data, overrides, dtype)
    reads = reading(model_name, data, side)
    shown = f"{model_name}-{side}" if model_name == "resnet18" else model_name
    name = "-".join(str(part) for part in (shown, train_images, "evenly" if sample_evenly else "", label, seed) if part)
    folder = Path(runs) / name
    folder.mkdir(parents=True, exist_ok=True)
    steps = steps_per_epoch or train_images // batch_size
    proxy, labels = recipe(battles), read_labels(data.files("train"))
    rates = balanced_class_weights(labels, len(CLASS_NAMES)) if sample_evenly else None
    test_batch = batch_size if model_name == "resnet18" and side == screen else TEST_BATCH
    stopwatch = Stopwatch(folder / "cpu_minutes.txt", minutes)
    clock = TrainingClock(steps * batch_size)
    config = TrainConfig(
        epochs=math.ceil(passes * (train_images // batch_size) / steps),
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=100,
        clip_norm=5.0 if model_name in SACCADERS else 1.0,
        seed=seed,
        sample_classes_evenly=sample_evenly,
    )
    if model_name == "gaussian":
        config = config.replace(group_rates=SLOW_PLACES)
    if model_name in SACCADERS:
        reading_epochs = round(reading_passes * (train_images // batch_size) / steps)
        config = config.replace(reading_epochs=reading_epochs, reading_looks=reading_looks)

    def fit(model: keras.Model, stage: TrainConfig, place: str) -> None:
        train(
            model,
            lambda epoch: reads(
                training_dataset(
                    data.files("train"),
                    proxy,
                    batch_size=batch_size,
                    steps_per_epoch=steps,
                    epochs=math.ceil(stage.epochs * steps / (train_images // batch_size)) + 1,
                    initial_epoch=epoch,
                    seed=seed,
                    class_rates=rates,
                )
            ),
            stage,
            steps_per_epoch=steps,
            validation_data=reads(evaluation_dataset(data.files("test"), proxy, batch_size=test_batch, limit=200)),
            checkpoint_dir=str(Path(place) / "checkpoints"),
            log_dir=str(Path(place) / "logs"),
            callbacks=[stopwatch, clock],
        )

    looking = config
    if model_name == "gaussian" and config.reading_epochs:
        # Its places have no prior over cells, so that the other saccader learns to read for it.
        same = {name: value for name, value in overrides.items() if name in SHARED}
        reader = read(build("categorical", data, same, dtype), config.replace(group_rates={}), str(folder), fit)
        model.classifier.set_weights(reader.classifier.get_weights())
        looking = config.replace(reading_epochs=0)
    model, _ = read_first(model, looking, str(folder), fit)
    model.save(folder / "model.keras")
    answers = measure(model, reads(evaluation_dataset(data.files("test"), proxy, batch_size=test_batch)), test_images)
    report: dict[str, Any] = {
        "name": name,
        "model": model_name,
        "side": side if model_name == "resnet18" else None,
        "screen": screen,
        "label": label,
        "seed": seed,
        "threads": threads,
        "train_images": train_images,
        "test_images": test_images,
        "passes_asked": passes,
        "passes_done": len(read_history(folder / "logs" / "history.csv")) * steps * batch_size / train_images,
        "sample_evenly": sample_evenly,
        "majority": float((answers.labels == 0).mean()),
        **answers.scores(),
        "cpu_minutes": stopwatch.minutes,
        "training_images_per_second": clock.images / clock.seconds if clock.seconds else None,
        "training": config.to_dict(),
        "config": model.config.to_dict() if model_name in SACCADERS else {},
        "dtype": model.dtype_policy.name,
        "parameters": int(model.count_params()),
        "peak_memory_mb": peak_memory_mb(),
        "history": read_history(folder / "logs" / "history.csv"),
        "machine": describe_machine(),
    }
    if model_name in SACCADERS:
        report |= measure_looks(answers.boxes, battles)
        if picture:
            draw_pictures(picture, answers, data.files("test"), data.pyramid_root, heading=name)
    target = Path(results) / f"starcraft2-{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1))
    print(json.dumps({key: report[key] for key in SHORT}))


if __name__ == "__main__":
    main()
