"""What encoding one patch costs: what a pipeline pays that encodes every patch of an image.

python -m benchmarks.patches --output docs/results/patches.json
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import keras
import numpy as np
import tensorflow as tf

import tfvs
from benchmarks.machine import describe_machine
from tfvs.training.strategy import limit_threads

SIDE_PX = 224


def cpu_ms(call: Callable[[], object], repetitions: int) -> float:
    """Median of the processor's time of a call, milliseconds, after one that does not count."""
    call()
    times = []
    for _ in range(repetitions):
        started = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - started))
    return statistics.median(times)


@click.command()
@click.option("--output", type=click.Path(path_type=Path), required=True)
@click.option("--batch", default=8, show_default=True, help="Patches at a time.")
@click.option("--repetitions", default=7, show_default=True)
def main(output: Path, batch: int, repetitions: int) -> None:
    """Times ResNet18 on patches in one thread, without and with a training step."""
    limit_threads(1)
    load = os.getloadavg()[0]
    random = np.random.default_rng(0)
    inputs = {"image": tf.constant(random.random((batch, SIDE_PX, SIDE_PX, 3)), tf.float32)}
    labels = tf.constant(random.integers(0, 2, batch))
    model = tfvs.ResNet18(num_classes=2)
    model.compile(keras.optimizers.SGD(1e-3))
    encode = tf.function(lambda given: model(given, training=False))
    report = {
        "machine": describe_machine(),
        "load_before": round(load, 2),
        "network": "ResNet18",
        "side_px": SIDE_PX,
        "batch": batch,
        "encode_cpu_ms": round(cpu_ms(lambda: encode(inputs), repetitions) / batch, 2),
        "train_cpu_ms": round(cpu_ms(lambda: model.train_on_batch(inputs, labels), repetitions) / batch, 2),
    }
    output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
