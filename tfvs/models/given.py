"""What a user gives a model: checked in one place, before Keras or TensorFlow fails somewhere within."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvs.errors import InputError

EXPECTED = (
    'a dict with "proxy" [B, h, w, c] and "image" [B, H, W, C], or the features of a pyramid instead of the image'
)


def check_inputs(inputs: Any) -> None:
    """Checks the inputs of a call.

    Args:
      inputs: A dict of arrays or tensors, each with a row per image.

    Raises:
      InputError: Something else, or numbers of images that differ.
    """
    if not isinstance(inputs, Mapping):
        raise InputError("The inputs cannot be used", expected=EXPECTED, received=describe(inputs))
    for name, value in inputs.items():
        several = isinstance(value, tf.RaggedTensor | tf.SparseTensor) or not hasattr(value, "shape")
        if several or not _rank(value) or (isinstance(value, np.ndarray) and value.dtype == object):
            raise InputError(
                f"The input {name!r} cannot be used",
                expected="one array or tensor in which all images have the same size",
                received=describe(value),
                mend="Bring the images to one size and stack them, or train on pyramids, whose sizes may differ",
            )
    sizes = {name: value.shape[0] for name, value in inputs.items() if value.shape[0] is not None}
    if len(set(sizes.values())) > 1:
        raise InputError(
            "The inputs have different numbers of images", expected="one row per image in each", received=sizes
        )


def check_data(x: Any) -> None:
    """Checks what ``fit``, ``evaluate`` and ``predict`` are given.

    Args:
      x: A dict of arrays, which is checked; or what gives batches, whose elements are checked as they come.

    Raises:
      InputError: No inputs of a saccader, or no images.
    """
    if isinstance(x, tf.data.Dataset):
        count = int(x.cardinality()) if tf.executing_eagerly() else 1
    elif isinstance(x, Mapping):
        check_inputs(x)
        count = min((value.shape[0] for value in x.values()), default=1)
    elif isinstance(x, np.ndarray | tf.Tensor | list | tuple):
        check_inputs(x)
        return
    else:  # a generator, a PyDataset, a loader of PyTorch
        return
    if count == 0:
        raise InputError("There are no images", expected="at least one", received=describe(x))


def input_shapes(x: Any) -> dict[str, tuple[int | None, ...]] | None:
    """Shapes of the inputs that ``fit`` is given, for any number of images.

    Args:
      x: Checked by :func:`check_data`.

    Returns:
      Name → ``(None, …)``, or None where only the batches tell them.
    """
    inputs = x
    if isinstance(x, tf.data.Dataset):
        inputs = x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec
    if not isinstance(inputs, Mapping) or not all(_rank(value) for value in inputs.values()):
        return None
    return {name: (None, *value.shape[1:]) for name, value in inputs.items()}


def at_least_one_row(inputs: Mapping[str, Any], known_only: bool) -> tuple[dict[str, Any], Any]:
    """Inputs that have a row of zeros where they have none: oneDNN ends the process on an empty convolution.

    With several devices the last batch of a data set may have fewer images than there are devices.

    Args:
      inputs: Arrays or tensors ``[B, …]``.
      known_only: Whether a number of images that is not known yet is taken for at least one; so XLA needs it.

    Returns:
      The inputs, and how many of their rows count: None for all of them.
    """
    tensors = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    first = next(iter(tensors.values()))
    if first.shape[0] or (first.shape[0] is None and known_only):
        return tensors, None
    count = tf.shape(first)[0]

    def a_row(value: tf.Tensor) -> tf.Tensor:
        return tf.zeros(tf.concat([[1], tf.shape(value)[1:]], axis=0), value.dtype)

    padded = {}
    for name, value in tensors.items():
        padded[name] = tf.cond(count > 0, lambda value=value: value, lambda value=value: a_row(value))
        padded[name].set_shape([None, *value.shape[1:]])
    return padded, count


def _rank(value: Any) -> int:
    """How many axes an array or tensor has; 0 where that is not known."""
    return 0 if isinstance(value.shape, tf.TensorShape) and value.shape.rank is None else len(value.shape)


def describe(value: Any) -> str:
    """What was given, in a few words: kind, dtype, shape."""
    if isinstance(value, Mapping):
        return "a dict of " + ", ".join(f"{name!r}: {describe(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        shown = ", ".join(describe(part) for part in value[:2]) + (", …" if len(value) > 2 else "")
        return f"a {type(value).__name__} of {len(value)}: {shown}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} {getattr(value.dtype, 'name', value.dtype)} {value.shape}"
    return f"{type(value).__name__} {value!r}"[:200]
