"""What the checks of a training step cost: ``python -m benchmarks.checks`` prints JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import tfvs
from tfvs.models import checks


def median_ms(call: Callable[[], object], repetitions: int) -> float:
    """Median time of a call, milliseconds, after three that do not count."""
    times = []
    for repetition in range(repetitions + 3):
        started = time.perf_counter()
        call()
        if repetition >= 3:
            times.append(1e3 * (time.perf_counter() - started))
    return round(statistics.median(times), 3)


def main() -> None:
    """Times a whole training step, and its checks alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    parser.add_argument("--side", type=int, default=100, help="side of the images, pixels")
    parser.add_argument("--repetitions", type=int, default=30, help="steps that count")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    inputs = {
        "image": random.random((args.batch, args.side, args.side, 1)).astype("float32"),
        "proxy": random.random((args.batch, 32, 32, 1)).astype("float32"),
    }
    labels, weights = random.integers(0, 10, args.batch), np.ones(args.batch, "float32")
    model = tfvs.VariationalSaccader(num_classes=10)
    model.compile(keras.optimizers.SGD(1e-3))

    @tf.function
    def alone(inputs: dict[str, tf.Tensor], labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        fine = checks.class_indices(labels, 10)[1] & checks.weights_are_fine(weights)
        return fine & checks.pixels_are_fine(checks.demand_pixels(inputs))

    given = tf.nest.map_structure(tf.constant, (inputs, labels, weights))
    report = {
        "batch": args.batch,
        "side_px": args.side,
        "step_ms": median_ms(lambda: model.train_on_batch(inputs, labels, weights), args.repetitions),
        "checks_ms": median_ms(lambda: alone(*given).numpy(), args.repetitions),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
