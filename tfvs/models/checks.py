"""Checks of values inside the graph of a training or evaluation step.

A value that cannot be used is an InvalidArgumentError. XLA leaves errors out of a graph; so each check gives a scalar
too that says whether all is well, from which the loss becomes NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfvs.errors import InputError
from tfvs.models.pixels import IMAGE, PROXY

NOT_A_NUMBER = float("nan")
# How far pixels may stray from [0, 1]: rounding, not overshoot.
RANGE_TOLERANCE = 1e-3


def class_indices(labels: Any, num_classes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels as class indices.

    Args:
      labels: ``[B]`` or ``[B, 1]`` whole numbers of any numeric dtype.
      num_classes: K.

    Returns:
      ``[B]`` int32 within 0 to K − 1 whatever the labels are; and scalar bool, whether all of them are class indices.

    Raises:
      InputError: Another shape, or no numbers.
    """
    labels = tf.convert_to_tensor(labels)
    one_each = labels.shape.rank == 1 or (labels.shape.rank == 2 and labels.shape[-1] == 1)
    if not one_each or not (labels.dtype.is_integer or labels.dtype.is_floating):
        raise InputError(
            "The labels cannot be used",
            expected="class indices [B]",
            received=f"{labels.dtype.name} {labels.shape}",
            mend="Turn one-hot labels into indices with tf.argmax(labels, -1), and names into indices with a list",
        )
    values = tf.reshape(labels, [-1])
    whole = tf.cast(values, tf.int64)
    right = (tf.cast(whole, values.dtype) == values) & (whole >= 0) & (whole < num_classes)
    message = f"A label is no class index: a whole number from 0 to {num_classes - 1}. Received:"
    fine = _demand(right, values, message)
    return tf.cast(tf.clip_by_value(whole, 0, num_classes - 1), tf.int32), fine


def weights_are_fine(weights: Any) -> tf.Tensor:
    """Whether sample weights are finite and at least 0.

    Args:
      weights: ``[B]`` or ``[B, 1]``.

    Raises:
      InputError: Another shape.
    """
    weights = tf.convert_to_tensor(weights)
    if not (weights.shape.rank == 1 or (weights.shape.rank == 2 and weights.shape[-1] == 1)):
        raise InputError(
            "The sample weights cannot be used",
            expected="one number per image, [B]",
            received=f"{weights.dtype.name} {weights.shape}",
        )
    values = tf.reshape(tf.cast(weights, tf.float32), [-1])
    right = tf.math.is_finite(values) & (values >= 0.0)
    return _demand(right, values, "A sample weight is not a finite number of at least 0. Received:")


def pixels_are_fine(inputs: Mapping[str, Any]) -> tf.Tensor:
    """Whether all pixels of floats are finite and in [0, 1]; integers always are, once they are scaled.

    Args:
      inputs: Inputs of a model.

    Returns:
      Scalar bool; :func:`demand_pixels` makes the error.
    """
    fine = tf.constant(True)
    for value in _floats(inputs).values():  # one by one: XLA's least and greatest values pass over a NaN
        fine &= tf.reduce_all(_within(value, value))
    return fine


def demand_pixels(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The inputs; nothing reads them before their pixels are found to be fine."""
    asserts = [
        tf.debugging.Assert(
            _within(low, high),
            [
                f"The input {name} has pixels that are not finite or not in [0, 1]. Received: least, greatest =",
                low,
                high,
            ],
        )
        for name, (low, high) in _ranges(inputs).items()
    ]
    with tf.control_dependencies(asserts):
        return {name: tf.identity(value) for name, value in inputs.items()}


def _floats(inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    pixels = {name: tf.convert_to_tensor(inputs[name]) for name in (PROXY, IMAGE) if name in inputs}
    return {name: value for name, value in pixels.items() if value.dtype.is_floating}


def _ranges(inputs: Mapping[str, Any]) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    return {name: (tf.reduce_min(value), tf.reduce_max(value)) for name, value in _floats(inputs).items()}


def _within(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """A NaN compares as False."""
    return (low >= -RANGE_TOLERANCE) & (high <= 1.0 + RANGE_TOLERANCE)


def _demand(right: tf.Tensor, values: tf.Tensor, message: str) -> tf.Tensor:
    """Whether all of ``right [B]`` is true; the error names the first of ``values [B]`` for which it is not."""
    count = tf.size(right)
    first = tf.reduce_min(tf.where(right, count, tf.range(count)))
    wrong = tf.concat([values, tf.zeros([1], values.dtype)], axis=0)[tf.minimum(first, count)]
    fine = tf.reduce_all(right)
    with tf.control_dependencies([tf.debugging.Assert(fine, [message, wrong])]):
        return tf.identity(fine)
