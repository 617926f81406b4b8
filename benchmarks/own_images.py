"""Ten lines of Keras on made photographs, with three networks that read the crops, each for the same minutes.

    python -m benchmarks.own_images --threads 1
    python -m benchmarks.own_images --table

Photographs of 3 000 × 2 000 pixels with a sign of 100 pixels (:mod:`tfvs.datasets.sign_photographs`) lie in a folder
per class; a fifth of them is kept for validation. ``small`` is the library's own network, ``pretrained``
EfficientNet-Lite0 with ImageNet weights, ``application`` MobileNetV3Small of ``keras.applications`` with random ones;
``unplanned`` are the lines without :func:`tfvs.plan_from_directory`, which know nothing of the sign's size. Minutes are
the processor's, of everything but a trial of two passes, which tells how many passes the minutes allow, and the test on
120 other photographs. What was measured before is left alone; each run writes
``docs/results/own-images-<photographs>-<network>-<seed>.json``.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click
import keras

import tfvs
from benchmarks.machine import describe_machine
from tfvs.datasets.sign_photographs import SignConfig, write
from tfvs.evaluation.scores import share
from tfvs.training.plan import Plan
from tfvs.training.strategy import limit_threads

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
NETWORKS = ("small", "pretrained", "application", "unplanned")
MINUTES = {300: 12.0, 60: 6.0}
SPLIT, TEST = 0.2, 120


def make_plan(folder: Path, network: str, passes: int | None) -> Plan:
    """The plan for a folder of photographs; for a number of passes where one is given."""
    passes_instead = {} if passes is None else {"train.epochs": passes, "train.steps_per_epoch": None}
    return tfvs.plan_from_directory(
        folder,
        object_px=SignConfig().sign_px,
        validation_split=SPLIT,
        pretrained=network == "pretrained",
        changes=passes_instead,
    )


def fit(folder: Path, network: str, seed: int, passes: int | None, **options: Any) -> tuple[keras.Model, Any, Any]:
    """The ten lines.

    Args:
      folder: A folder per class.
      network: One of :data:`NETWORKS`.
      seed: Of everything.
      passes: Over the photographs; None for as many as the plan has.
      **options: Further arguments of ``fit``.

    Returns:
      The model, what ``fit`` returned, and how the test photographs are to be read.
    """
    keras.utils.set_random_seed(seed)
    plan = make_plan(folder, network, passes)
    size = (64, 64) if network == "unplanned" else plan.proxy_size
    train, val = tfvs.datasets.image_dataset_from_directory(
        folder, proxy_size=size, batch_size=plan.train.batch_size, validation_split=SPLIT, seed=seed
    )
    if network == "unplanned":
        model = tfvs.VariationalSaccader(num_classes=len(train.class_names), crop_size=64)
        model.compile(optimizer="adam", metrics=["accuracy"])
    else:
        given = {}
        if network == "application":
            given["crop_encoder"] = keras.applications.MobileNetV3Small(
                include_top=False, pooling="avg", weights=None, input_shape=(None, None, 3)
            )
        model = tfvs.VariationalSaccader(plan.model, **given)
        model.compile(optimizer=plan.optimizer(), metrics=["accuracy"])
    history = model.fit(train, validation_data=val, **{**plan.fit_options(), **options})
    return model, history, size


class PassClock(keras.callbacks.Callback):
    """Seconds of the processor per pass, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls it."""
        self.ends.append(time.process_time())


def measure(photos: Path, test: Path, photographs: int, network: str, seed: int) -> dict[str, Any]:
    """One run: a trial of two passes, then as many as the minutes allow.

    Args:
      photos: The photographs to learn from.
      test: The photographs of the test.
      photographs: How many there are to learn from.
      network: One of :data:`NETWORKS`.
      seed: Of everything.
    """
    clock = PassClock()
    fit(photos, network, seed, 2, callbacks=[clock], verbose=0)
    seconds = clock.ends[1] - clock.ends[0]
    passes = max(round(60 * MINUTES[photographs] / seconds), 2)
    click.echo(f"{photographs} {network}: {seconds:.1f} s per pass, {passes} passes")
    began, clock = time.process_time(), PassClock()
    model, history, size = fit(photos, network, seed, passes, callbacks=[clock], verbose=2)
    minutes = (time.process_time() - began) / 60
    dataset = tfvs.datasets.image_dataset_from_directory(test, proxy_size=size, batch_size=20, shuffle=False)
    scores = model.evaluate(dataset, verbose=0, return_dict=True)
    right = share(round(scores["accuracy"] * TEST), TEST)
    return {
        "photographs": photographs,
        "network": network,
        "seed": seed,
        "accuracy": right.value,
        "interval": [right.low, right.high],
        "cpu_minutes": round(minutes, 2),
        "passes": passes,
        "parameters": model.count_params(),
        "history": {name: [round(float(value), 4) for value in values] for name, values in history.history.items()},
        "load": round(os.getloadavg()[2], 1),
        **describe_machine(),
    }


def table() -> str:
    """The results as a table in Markdown."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("own-images-*.json"))]
    lines = ["| photographs | network | test, % | 95 % interval | CPU minutes | passes |", "|---|---|---|---|---|---|"]
    for one in sorted(found, key=lambda one: (-one["photographs"], NETWORKS.index(one["network"]), one["seed"])):
        low, high = (f"{100 * end:.0f}" for end in one["interval"])
        lines.append(
            f"| {one['photographs']} | {one['network']} | {100 * one['accuracy']:.1f} | {low} to {high} "
            f"| {one['cpu_minutes']:.1f} | {one['passes']} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default="runs/own_images", show_default=True)
@click.option("--photographs", type=click.Choice(list(map(str, MINUTES))), multiple=True, default=("300", "60"))
@click.option("--network", "networks", type=click.Choice(NETWORKS), multiple=True, default=NETWORKS)
@click.option("--seed", default=1, show_default=True)
@click.option("--threads", default=0, show_default=True, help="Of TensorFlow; 0: as many as there are cores.")
@click.option("--table", "as_table", is_flag=True, help="Print what was measured, and measure nothing.")
def main(
    work: Path, photographs: tuple[str, ...], networks: tuple[str, ...], seed: int, threads: int, as_table: bool
) -> None:
    """Measures what has not been measured yet."""
    if as_table:
        click.echo(table())
        return
    limit_threads(threads)
    os.environ["TFVS_CACHE"] = str(work / "cache")
    test = write(work / "test", SignConfig(), {"test": TEST}) / "test"
    for number in map(int, photographs):
        photos = write(work / str(number), SignConfig(), {"train": number})
        for network in networks:
            destination = RESULTS / f"own-images-{number}-{network}-{seed}.json"
            if destination.exists():
                continue
            found = measure(photos, test, number, network, seed)
            destination.write_text(json.dumps(found, indent=1) + "\n")
            click.echo(json.dumps({name: value for name, value in found.items() if name != "history"}))
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
