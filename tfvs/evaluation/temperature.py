"""Temperature scaling: one number by which logits are divided so that stated probabilities come true.

Guo et al. 2017, "On Calibration of Modern Neural Networks". The classes that a model answers stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfvs.errors import InputError
from tfvs.evaluation.calibration import calibration_of_answers

LOWEST, HIGHEST = 1 / 64, 64.0


@dataclass(frozen=True)
class Temperature:
    """A temperature, and what it does to the images that it was found on.

    Attributes:
      likeliest: The temperature of the largest likelihood.
      images: Number of images.
      error_before: Expected calibration error of the probabilities without it.
      error_after: The same with it.
    """

    likeliest: float
    images: int
    error_before: float
    error_after: float

    @property
    def value(self) -> float:
        """The temperature to use: the likeliest, or 1 where that would raise the expected calibration error."""
        return self.likeliest if self.error_after <= self.error_before else 1.0

    def __str__(self) -> str:
        """A line that tells it."""
        found = f"temperature {self.likeliest:.3f}, from {self.images} images: expected calibration error "
        found += f"{self.error_before:.4f} before, {self.error_after:.4f} after"
        return found if self.value == self.likeliest else f"{found}, hence 1 is kept"


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the largest likelihood.

    The images together have one vote more, for all classes alike, so that the temperature of few images that are all
    answered right is not 0.

    Args:
      logits: ``[N, K]`` float.
      labels: ``[N]`` int, 0 to K − 1.

    Returns:
      The temperature, between 1/64 and 64; 1 where no temperature makes a difference.

    Raises:
      InputError: There are no images, or the shapes do not fit.

    >>> fit_temperature(np.array([[4.0, 0.0]] * 3 + [[0.0, 4.0]]), np.array([0, 0, 1, 0])) > 2
    True
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or not len(logits) or labels.shape != logits.shape[:1]:
        raise InputError(
            "No temperature can be found", expected="logits [N, K] and labels [N], N > 0",
            received=f"{logits.shape} and {labels.shape}",
        )  # fmt: skip
    count, classes = logits.shape
    targets = np.full([count, classes], 1 / (classes * (count + 1)))
    targets[np.arange(count), labels] += count / (count + 1)
    logits = logits - logits.max(axis=1, keepdims=True)

    def slope(log_temperature: float) -> float:
        """Derivative of the mean cross-entropy by 1 / temperature, which falls as the temperature rises."""
        return float(np.mean(np.sum((_softmax(logits / np.exp(log_temperature)) - targets) * logits, axis=1)))

    low, high = np.log(LOWEST), np.log(HIGHEST)
    if abs(slope(low) - slope(high)) < 1e-12:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def measure_temperature(logits: np.ndarray, labels: np.ndarray) -> Temperature:
    """The temperature of :func:`fit_temperature`, the calibration before and after, and which temperature to use.

    One number cannot mend a model that is too sure of some answers and not sure enough of others: the likelihood of
    few wrong answers may ask for a temperature by which all other probabilities are further from the truth.

    Args:
      logits: ``[N, K]`` float.
      labels: ``[N]`` int.
    """
    value = fit_temperature(logits, labels)
    return Temperature(value, len(logits), *calibration_errors(logits, labels, value))


def calibration_errors(logits: np.ndarray, labels: np.ndarray, temperature: float) -> tuple[float, float]:
    """Expected calibration error without a temperature, and with it.

    Args:
      logits: ``[N, K]`` float.
      labels: ``[N]`` int.
      temperature: What the logits are divided by.
    """
    logits = np.asarray(logits, np.float64)
    before, after = (calibration_of_answers(_softmax(logits / divisor), labels).error for divisor in (1.0, temperature))
    return before, after


def temperature_of(model: Any, dataset: Iterable[tuple[Any, tf.Tensor, tf.Tensor]]) -> Temperature:
    """The temperature of a trained model, from labelled images that it was not trained on.

    Args:
      model: A :class:`tfvs.VariationalSaccader` or another classifier of tfvs.
      dataset: Batches of inputs, labels and weights; images of weight 0 are left out.

    Raises:
      InputError: No image can be read.
    """

    @tf.function(reduce_retracing=True, autograph=False)
    def ask(inputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        answer = model(inputs, training=False)
        valid = getattr(answer, "valid", None)
        return answer.logits, tf.ones_like(answer.logits[:, 0], tf.bool) if valid is None else valid

    logits, labels = [np.zeros([0, 0])], [np.zeros([0], np.int64)]
    for inputs, batch_labels, weights in dataset:
        answers, valid = ask(inputs)
        used = (np.asarray(weights) > 0) & valid.numpy()
        logits.append(answers.numpy()[used])
        labels.append(np.asarray(batch_labels)[used])
    return measure_temperature(np.concatenate(logits[1:] or logits), np.concatenate(labels))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
