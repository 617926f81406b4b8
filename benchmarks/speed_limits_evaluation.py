"""Answers and looks of models on street photographs, and the time that they take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.speed_limits_data import Folder, Prepared
from benchmarks.speed_limits_report import pixels_read, report_answers, report_looks
from tfvs.datasets.gtsdb import HEIGHT_PX, WIDTH_PX, Sign
from tfvs.datasets.gtsdb_cut_outs import load_signs, photograph
from tfvs.images.crops.dense import read_dense_crops
from tfvs.images.reading import read_array
from tfvs.models.saccader import VariationalSaccader
from tfvs.models.saccader_config import SaccaderConfig

# The saccader's weights with looks that are not its own. One trajectory is of the likeliest places: even looks are two.
OTHER_LOOKS: dict[str, dict[str, Any]] = {
    "random": {"looks_from_prior": True, "place_prior": "uniform"},
    "contrast": {"looks_from_prior": True},
}
TIMED = 12
Photographs = Prepared | Folder


def evaluate_saccader(model: VariationalSaccader, photographs: Photographs) -> dict[str, Any]:
    """Answers, looks, pixels read and time of a saccader.

    Args:
      model: Trained, with the number of looks wanted.
      photographs: They are evaluated on.

    Returns:
      The report.
    """
    model = model.adapted(pyramid_roots=photographs.pyramid_roots)
    labels = photographs.labels
    output, times = _timed(model.predict, photographs)
    boxes = output.boxes[: len(labels)]
    _, signs = load_signs(photographs.data)
    return {
        "num_steps": model.config.num_steps,
        "num_samples": model.config.num_samples,
        **report_answers(labels, np.argmax(output.logits[: len(labels)], -1)),
        **report_looks(boxes, [signs.get(stem, []) for stem in photographs.ids]),
        "pixels_read": pixels_read(
            photographs.proxy.height * photographs.proxy.width,
            model.config.crop_size,
            model.config.crops_per_image * model.config.num_samples,
        ),
        "unreadable": int((~output.valid[: len(labels)]).sum()),
        **times,
    }


def evaluate_other_looks(model: VariationalSaccader, photographs: Photographs) -> dict[str, Any]:
    """What the same weights answer with other looks: drawn evenly, the places of most contrast, and at the true boxes.

    Args:
      model: Trained, with the number of looks wanted.
      photographs: They are evaluated on.

    Returns:
      A report for each kind of looks.
    """
    found = {
        name: evaluate_saccader(model.adapted(**changes, num_samples=1 + (name == "random")), photographs)
        for name, changes in OTHER_LOOKS.items()
    }
    found["oracle"] = report_answers(photographs.labels, answers_at_boxes(model, photographs))
    return found


def answers_at_boxes(model: VariationalSaccader, photographs: Photographs) -> np.ndarray:
    """Classes ``[N]`` answered from one look at the middle of every sign, whichever it is: the ceiling of looking."""
    root, signs = load_signs(photographs.data)
    answers: list[int] = []
    bias, none_class = keras.ops.convert_to_numpy(model.classifier.bias), model.config.none_class
    for stem in photographs.ids:
        odds = np.full_like(bias, -np.inf)
        if found := signs.get(stem):
            pixels = read_array(photograph(root, stem))
            boxes = tf.constant(boxes_around(found, model.config))
            crops = read_dense_crops(tf.constant(pixels[np.newaxis]), boxes, model.config.crop_size)
            odds = np.logaddexp.reduce(np.asarray(model.classifier.answer(crops).evidence)[0], axis=0)
        odds[none_class] = 0.0
        answers.append(int(np.argmax(odds + bias)))
    return np.array(answers)


def boxes_around(signs: Sequence[Sign], config: SaccaderConfig) -> np.ndarray:
    """One look at the middle of each sign, of whole pixels within the photograph: ``[1, L, 4]``, look by look."""
    size = np.array([HEIGHT_PX, WIDTH_PX])
    middles = np.array([((sign.top + sign.bottom) // 2, (sign.left + sign.right) // 2) for sign in signs])
    sides = np.array([round(config.crop_size * scale) for scale in config.scales])[:, np.newaxis]  # [M, 1]
    corners = np.clip(middles[:, np.newaxis] - sides // 2, 0, size - sides)  # [N, M, (y, x)]
    boxes = np.concatenate([corners, corners + sides], axis=-1) / np.tile(size, 2)
    return boxes.reshape(1, -1, 4).astype(np.float32)


def evaluate_whole(model: keras.Model, photographs: Photographs) -> dict[str, Any]:
    """Answers and time of a network that reads all of a photograph."""
    labels = photographs.labels
    logits, times = _timed(lambda batches, **_: _logits(model, batches), photographs)
    return {**report_answers(labels, np.argmax(logits[: len(labels)], -1)), **times}


def time_network(model: VariationalSaccader, photographs: Photographs) -> dict[str, float]:
    """Time of the crop network over whole photographs in full size, one after the other.

    Reading the file is counted, as reading the tiles is for the saccader. The photographs are not enlarged, as the
    saccader's crops may be: that would take as many times longer as it makes them larger.

    Args:
      model: The saccader whose crop network it is.
      photographs: The first ones are taken.

    Returns:
      Milliseconds of the processor and of the clock per photograph.
    """
    root, _ = load_signs(photographs.data)
    encoder = model.classifier.encoder
    encoder = type(encoder).from_config({**encoder.get_config(), "enlargement": 1})
    network = tf.function(lambda image: encoder(image), autograph=False)
    paths = [photograph(root, stem) for stem in photographs.ids[:TIMED]]
    network(_whole(paths[0]))  # traces
    began, began_cpu = time.perf_counter(), time.process_time()
    for path in paths:
        network(_whole(path))
    return _per_photograph(began, began_cpu, len(paths))


def _whole(path: Path) -> tf.Tensor:
    return tf.constant(read_array(path)[np.newaxis], tf.float32) / 255.0


def _logits(model: keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    answer = tf.function(lambda inputs: model(inputs, training=False).logits, autograph=False)
    return np.concatenate([answer(inputs).numpy() for inputs, *_ in batches])


def _timed(predict: Callable[..., Any], photographs: Photographs) -> tuple[Any, dict[str, float]]:
    """Answers to all photographs, and the time per photograph once the graph is traced."""
    batches, count = photographs.batches(), len(photographs.labels)
    predict(batches.take(1), verbose=0)
    began, began_cpu = time.perf_counter(), time.process_time()
    output = predict(batches, verbose=0)
    return output, _per_photograph(began, began_cpu, count)


def _per_photograph(began: float, began_cpu: float, count: int) -> dict[str, float]:
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {"ms_per_photograph": 1000 * wall / count, "cpu_ms_per_photograph": 1000 * cpu / count}
