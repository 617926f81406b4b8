"""The speed limit in a street scene (GTSDB), with a pretrained network that needs no hub.

    python -m benchmarks.speed_limits --data GTSDB --seed 0 --threads 1
    python -m benchmarks.speed_limits --data GTSDB --seed 0 --test FOLDER        # also tested, on any such folder
    python -m benchmarks.speed_limits --model MODEL.keras --test FOLDER          # a saved model alone

Photographs 0 to 479 are trained on, 480 to 599 are the validation. Signs that are pasted come from the boxes of the
photographs for training, and while the field of view grows the pasted sign is in it; the model itself sees proxies,
looks and classes. A run that was stopped goes on from its checkpoint. Writes ``speed-limits-<seed>.json`` to
``--results`` and ``model.keras`` to its folder below ``--runs``; the last line printed is the JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf

from benchmarks.machine import describe_machine, peak_memory_mb
from benchmarks.speed_limits_data import PROXY, image_ids, load_signs, prepare, record_files
from benchmarks.speed_limits_model import LOOK, READ, SACCADER, fit, photographs
from benchmarks.speed_limits_report import pixels_read, report_answers, report_looks
from tfvs.data.dataset import read_labels
from tfvs.models.saccader import VariationalSaccader


def evaluate(model: VariationalSaccader, data: Path, prepared: Path, splits: tuple[str, ...]) -> dict[str, Any]:
    """Answers and looks of a model on photographs.

    Args:
      model: Trained.
      data: The folder of the photographs, for the boxes of their signs.
      prepared: Records and pyramids of them.
      splits: Which of the records.

    Returns:
      The report.
    """
    files = record_files(prepared / "records", splits)
    labels, (_, signs) = read_labels(files), load_signs(data)
    model = model.adapted(pyramid_roots=(str(prepared / "pyramids"),))
    count, batches = len(labels), photographs(files)
    model.predict(batches.take(1), verbose=0)  # compiles
    began, began_cpu = time.perf_counter(), time.process_time()
    output = model.predict(batches, verbose=0)
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    boxes = output.boxes[:count]
    return {
        "num_steps": model.config.num_steps,
        **report_answers(labels, np.argmax(output.logits[:count], -1)),
        **report_looks(boxes, [signs.get(stem, []) for stem in image_ids(files)]),
        "pixels_read": pixels_read(PROXY.height * PROXY.width, model.config.crop_size, boxes),
        "ms_per_photograph": 1000 * wall / count,
        "cpu_ms_per_photograph": 1000 * cpu / count,
        "unreadable": int((~output.valid[:count]).sum()),
    }


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="GTSDB: gt.txt beside the photographs.")
@click.option("--test", type=click.Path(exists=True, path_type=Path), help="Another such folder, to test on.")
@click.option("--model", "model_path", type=click.Path(exists=True, path_type=Path), help="A saved model; no training.")
@click.option("--seed", default=0, show_default=True)
@click.option("--read-steps", default=READ.steps, show_default=True, help="Of the first stage.")
@click.option("--look-steps", default=LOOK.steps, show_default=True, help="Of the second stage.")
@click.option("--looks", default=20, show_default=True, help="Looks per photograph when it is evaluated.")
@click.option("--threads", default=0, show_default=True, help="Of TensorFlow; 0: as many as there are cores.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/speed_limits"), show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=Path("docs/results"), show_default=True)
def main(
    data: Path | None,
    test: Path | None,
    model_path: Path | None,
    seed: int,
    read_steps: int,
    look_steps: int,
    looks: int,
    threads: int,
    runs: Path,
    results: Path,
) -> None:
    """Trains, validates and tests; or tests a saved model."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    report: dict[str, Any] = {"seed": seed, "machine": describe_machine(), "threads": threads}
    if model_path is not None:
        if test is None:
            raise click.UsageError("--model needs --test FOLDER")
        model = keras.saving.load_model(model_path)
        report["model"] = model_path.name
    else:
        if data is None:
            raise click.UsageError("--data GTSDB is needed to train")
        prepared, folder = runs / "data", runs / f"seed-{seed}"
        prepare(data, prepared)
        model, minutes = fit(
            data, prepared, folder, config=SACCADER, seed=seed, read_steps=read_steps, look_steps=look_steps
        )
        model = model.adapted(num_steps=looks)
        model.save(folder / "model.keras")
        report |= {"cpu_minutes": minutes, "read_steps": read_steps, "look_steps": look_steps}
        report["parameters"] = int(model.count_params())
        report["validation"] = evaluate(model, data, prepared, ("eval", "test"))
    if test is not None:
        with tempfile.TemporaryDirectory() as made:
            prepare(test, Path(made))
            report["test"] = evaluate(model.adapted(num_steps=looks), test, Path(made), ("train", "eval", "test"))
    report["peak_memory_mb"] = peak_memory_mb()
    if model_path is None:
        results.mkdir(parents=True, exist_ok=True)
        (results / f"speed-limits-{seed}.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
