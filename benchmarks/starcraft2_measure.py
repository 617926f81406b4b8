"""What a trained model makes of simulated battles: its counts, and how often its looks fall on one unit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import pyvips
import tensorflow as tf

from tfvs.data.dataset import read_records
from tfvs.data.example import PYRAMID_URI, from_example
from tfvs.datasets.starcraft2.battles import BattleConfig, draw_units
from tfvs.datasets.starcraft2.layout import CLASS_NAMES
from tfvs.evaluation.answers import Answer, to_saccades
from tfvs.viz.saccade_sheet import write_saccade_sheet

TEST_BATCH = 50
# A battle is shown where it has at least so many marines.
SHOWN_MARINES = 5


class Answers(NamedTuple):
    """A model's answers to the test images.

    Attributes:
      labels: ``[N]`` int64.
      logits: ``[N, K]`` float32.
      boxes: ``[N, T, 4]`` float32, empty for models that do not look at places.
    """

    labels: np.ndarray
    logits: np.ndarray
    boxes: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """``[N, K]`` float64, of each count."""
        return tf.nn.softmax(self.logits.astype(np.float64)).numpy()

    def scores(self) -> dict[str, float]:
        """Measures of the likeliest count: accuracy, balanced accuracy, mean absolute error, and share within one.

        The balanced accuracy is that on images drawn with 1 over their class's frequency, as the paper's authors draw
        their test images. The last measure is the mean absolute error of the median count, which is the count that
        makes this error smallest.
        """
        counts = self.logits.argmax(-1)
        error = np.abs(counts - self.labels)
        of_class = [float((counts[self.labels == label] == label).mean()) for label in np.unique(self.labels)]
        return {
            "accuracy": float((error == 0).mean()),
            "balanced_accuracy": float(np.mean(of_class)),
            "mean_absolute_error": float(error.mean()),
            "within_one": float((error <= 1).mean()),
            "mean_absolute_error_of_median": float(np.abs(self.medians() - self.labels).mean()),
        }

    def medians(self) -> np.ndarray:
        """``[N]`` int: the smallest count that is reached with a probability of one half.

        >>> Answers(np.zeros(1), np.log([[0.3, 0.1, 0.2, 0.4]]), np.zeros((1, 0, 4))).medians()
        array([2])
        """
        return (np.cumsum(self.probabilities, -1) >= 0.5).argmax(-1)


def measure(model: keras.Model, dataset: tf.data.Dataset, count: int) -> Answers:
    """Answers to the first ``count`` images of a dataset of ``(inputs, label, weight)``."""

    @tf.function(reduce_retracing=True)
    def answer(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        output = model(inputs, training=False)
        boxes = getattr(output, "boxes", None)
        return output.logits, tf.zeros([tf.shape(output.logits)[0], 0, 4]) if boxes is None else boxes

    rows = [(label.numpy(), *(value.numpy() for value in answer(inputs))) for inputs, label, _ in dataset]
    labels, logits, boxes = (np.concatenate(values)[:count] for values in zip(*rows, strict=True))
    return Answers(labels, logits, boxes)


def measure_looks(boxes: np.ndarray, config: BattleConfig) -> dict[str, float]:
    """How many marines lie in a look of the test images, and how many in two or more.

    Args:
      boxes: ``[N, T, 4]`` ``[y0, x0, y1, x1]`` in [0, 1], of the first N test battles.
      config: Configuration of the battles.
    """
    seen, twice, total = 0, 0, 0
    for index, looks in enumerate(boxes):
        units, _ = draw_units(config, "test", index)
        times = looks_on(looks, units.screen[units.of_kind("marine")])
        seen, twice, total = seen + int((times > 0).sum()), twice + int((times > 1).sum()), total + len(times)
    return {"marines_seen": seen / max(total, 1), "marines_seen_twice": twice / max(total, 1)}


def looks_on(boxes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How many boxes hold each place.

    Args:
      boxes: ``[T, 4]`` ``[y0, x0, y1, x1]``.
      places: ``[M, 2]`` ``[x, y]``.

    Returns:
      ``[M]`` int.

    >>> looks_on(np.array([[0, 0, 0.5, 0.5], [0.2, 0.2, 0.6, 0.6]]), np.array([[0.3, 0.3], [0.1, 0.4], [0.9, 0.9]]))
    array([2, 1, 0])
    """
    yx = places[:, np.newaxis, ::-1]
    return ((yx >= boxes[:, :2]) & (yx < boxes[:, 2:])).all(-1).sum(-1)


def dense_images(dataset: tf.data.Dataset, root: str, whole: int, side: int, bands: int = 3) -> tf.data.Dataset:
    """The images in place of their tile indices, ``"image" [B, side, side, bands]`` uint8.

    Args:
      dataset: Batches of ``(inputs, label, weight)`` from records.
      root: What the records' paths are relative to.
      whole: Side of the images, pixels.
      side: Side that is wanted, pixels; smaller ones are made from the finest level that is large enough.
      bands: Bands of the images.
    """
    level = max(0, int(np.log2(whole / side)))

    def load(uris: np.ndarray) -> np.ndarray:
        images = []
        for uri in uris:
            image = pyvips.Image.new_from_file(os.path.join(root, uri.decode()), page=level)
            scale = side / image.width
            pixels = (image if scale == 1 else image.resize(scale)).numpy()
            images.append(pixels.reshape(side, side, bands))
        return np.stack(images)

    def replace(inputs: dict[str, tf.Tensor], *rest: Any) -> tuple[Any, ...]:
        pixels = tf.numpy_function(load, [inputs[PYRAMID_URI]], tf.uint8, stateful=False)
        batch = inputs[PYRAMID_URI].shape[0]
        return {"image": tf.ensure_shape(pixels, [batch, side, side, bands])}, *rest

    return dataset.map(replace).prefetch(2)


def draw_pictures(path: str, answers: Answers, files: Sequence[str], root: str, *, heading: str) -> None:
    """Draws the surest right and the surest wrong answer of battles of five marines and more.

    Args:
      path: Destination, PNG.
      answers: Answers to the images of the files.
      files: Record files.
      root: What the records' paths are relative to.
      heading: A line above both.
    """
    probabilities = answers.probabilities
    surest = sorted(range(len(probabilities)), key=lambda index: -probabilities[index].max())
    chosen = []
    for right in (True, False):
        found = [
            index
            for index in surest
            if (probabilities[index].argmax() == answers.labels[index]) == right
            and answers.labels[index] >= SHOWN_MARINES
        ]
        chosen += found[:1]
    records = [from_example(tf.train.Example.FromString(record)) for record in read_records(files).as_numpy_iterator()]
    shown = [Answer(records[index], probabilities[index], answers.boxes[index], None, None) for index in chosen]
    write_saccade_sheet(path, to_saccades(shown, root, CLASS_NAMES), heading=heading)
