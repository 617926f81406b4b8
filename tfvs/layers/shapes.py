"""Shapes: the order of their axes, and sizes that must be known."""

from __future__ import annotations

from tfvs.errors import InputError

# The order of axes of every image and map. Each layer is told so: Keras' own default is whatever the user's
# ``keras.json`` says.
CHANNELS_LAST = "channels_last"


def known(dimension: int | None, what: str) -> int:
    """A dimension that must be known when a layer is built.

    Args:
      dimension: Dimension of a shape.
      what: What it is the size of.

    Raises:
      InputError: It is None.
    """
    if dimension is None:
        raise InputError(f"The size of {what} is not known", expected="a whole number", received=dimension)
    return dimension
