"""Turns the latent into a location θ = [s, x, y] by smooth functions."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.ops import boxes

BORDERS = ("tanh", "clip")
INITIAL_SCALE_LOGIT = 2.0
MIN_ROOM = 1e-6  # of a crop as wide as the image


@keras.saving.register_keras_serializable("tfvs")
class LocationHead(keras.layers.Layer):
    """z_t → θ = [s, x, y], by smooth maps with stated ranges.

    ``s = min_scale + (max_scale − min_scale) · σ(a_0 + 2)``: nearly the widest at first, since nothing is
    learned from what no crop shows. Along each axis the centre is ``r · tanh(a / r)`` with the room ``r = 1 − extent``
    that the crop leaves: the place ``a`` itself in the middle of the image, and near its border as far out as the crop
    may go. The crop never leaves the image, and the gradient reaches all three everywhere.
    With ``border="clip"`` the place is ``a`` exactly, cut off where the crop would leave the image: a cell's centre
    stays where it is.
    ``a`` is ``z`` itself when it has three components, else a linear map of it.

    Args:
      min_scale: Smallest side of a crop as a fraction of the image's shorter side, above 0.
      border: ``"tanh"`` or ``"clip"``.

    Raises:
      ConfigError: ``min_scale`` outside (0, 1], or an unknown border.
    """

    def __init__(self, min_scale: float = 0.25, border: str = "tanh", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(0.0 < min_scale <= 1.0, "min_scale cannot be used", expected="0 < min_scale <= 1", received=min_scale)
        require(border in BORDERS, "Unknown border", expected=BORDERS, received=repr(border))
        self.min_scale, self.border = min_scale, border
        self.linear: keras.layers.Dense | None = None

    def build(self, latents_shape: tuple[int | None, ...]) -> None:
        """Args: latents_shape: ``[B, T, Z]``."""
        if latents_shape[-1] != 3:
            self.linear = keras.layers.Dense(3, name="linear", dtype="float32")
            self.linear.build(latents_shape)

    def call(self, latents: tf.Tensor, image_size: tf.Tensor, max_scale: tf.Tensor | float) -> tf.Tensor:
        """Locations.

        Args:
          latents: ``[B, T, Z]``.
          image_size: ``[B, 2]`` height and width, pixels.
          max_scale: Largest side of a crop as a fraction of the image's shorter side, scalar in (0, 1].

        Returns:
          ``[B, T, 3]`` float32 θ = [s, x, y].
        """
        raw = tf.cast(latents if self.linear is None else self.linear(latents), tf.float32)
        max_scale = tf.cast(max_scale, tf.float32)
        scale = self.min_scale + (max_scale - self.min_scale) * tf.sigmoid(raw[..., 0] + INITIAL_SCALE_LOGIT)  # [B, T]
        room = 1.0 - boxes.half_extents(scale, image_size[:, tf.newaxis, :])  # [B, T, (y, x)]
        room = tf.maximum(room, MIN_ROOM)
        place = raw[..., :0:-1]
        centre = room * tf.tanh(place / room) if self.border == "tanh" else tf.clip_by_value(place, -room, room)
        return tf.stack([scale, centre[..., 1], centre[..., 0]], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), "min_scale": self.min_scale, "border": self.border}
