"""What RAM and DRAM see at a place: a few patches of the image around it, coarser the wider they are."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.spatial_transformer import SpatialTransformer


def glimpse_boxes(places: tf.Tensor, image_size: tf.Tensor, glimpse_size: int, num_scales: int) -> tf.Tensor:
    """Boxes around places, each as wide as ``glimpse_size`` pixels of the image times 1, 2, 4 and so on.

    Args:
      places: ``[B, N, 2]`` float32, vertical then horizontal, -1 to 1 from edge to edge.
      image_size: ``[2]`` int32, height and width, pixels.
      glimpse_size: Pixels.
      num_scales: S.

    Returns:
      ``[B, N, S, 4]`` float32 ``[y0, x0, y1, x1]``; what leaves the image leaves [0, 1].
    """
    sides = glimpse_size * tf.constant([2.0**scale for scale in range(num_scales)])  # [S]
    extents = sides[:, tf.newaxis] / tf.cast(image_size, tf.float32)  # [S, 2]
    centres = (places[:, :, tf.newaxis, :] + 1.0) / 2.0
    return tf.concat([centres - extents / 2.0, centres + extents / 2.0], axis=-1)


@keras.saving.register_keras_serializable("tfvs")
class GlimpseNetwork(keras.layers.Layer):
    """``g(x, l)``: patches around a place, and the place, as features (Mnih et al. 2014, section 3.2 and figure 1).

    The patches are cut by a spatial transformer, black beyond the image's edges, and resized to one size by means over
    pixels.

    Args:
      glimpse_size: Side of a patch as the network sees it, pixels; also of the finest in the image.
      num_scales: S, patches per place, each twice as wide as the one before.
      units: Features that come out.
      hidden_units: Units of what reads the patches, and of what reads the place.

    Raises:
      ConfigError: A number below 1.
    """

    def __init__(
        self, glimpse_size: int = 12, num_scales: int = 3, units: int = 256, hidden_units: int = 128, **kwargs: Any
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})  # places in float16 would move the patches
        for name, value in (
            ("glimpse_size", glimpse_size),
            ("num_scales", num_scales),
            ("units", units),
            ("hidden_units", hidden_units),
        ):
            require(value >= 1, f"{name} is too small", expected="at least 1", received=value)
        self.glimpse_size, self.num_scales = glimpse_size, num_scales
        self.units, self.hidden_units = units, hidden_units
        policy = self.dtype_policy
        self.transformer = SpatialTransformer(glimpse_size, name="transformer", dtype="float32")
        self.what = keras.layers.Dense(hidden_units, activation="relu", name="what", dtype=policy)
        self.where = keras.layers.Dense(hidden_units, activation="relu", name="where", dtype=policy)
        self.from_what = keras.layers.Dense(units, name="from_what", dtype=policy)
        self.from_where = keras.layers.Dense(units, name="from_where", dtype=policy)

    def build(self, image_shape: tuple[int | None, ...], places_shape: tuple[int | None, ...]) -> None:
        """Args: image_shape, places_shape: of what ``call`` takes."""
        pixels = self.num_scales * self.glimpse_size**2 * (image_shape[-1] or 1)
        self.what.build((None, None, pixels))
        self.where.build((None, None, 2))
        self.from_what.build((None, None, self.hidden_units))
        self.from_where.build((None, None, self.hidden_units))

    def call(self, image: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Features.

        Args:
          image: ``[B, H, W, C]`` float in [0, 1].
          places: ``[B, N, 2]`` float32, vertical then horizontal, -1 to 1.

        Returns:
          ``[B, N, units]``.
        """
        places = tf.cast(places, tf.float32)
        patches = self.patches(tf.cast(image, tf.float32), places)  # [B, N, S, g, g, C]
        count = self.num_scales * self.glimpse_size**2 * image.shape[-1]
        flat = tf.reshape(patches, [-1, places.shape[1], count])
        return tf.nn.relu(self.from_what(self.what(flat)) + self.from_where(self.where(places)))

    def patches(self, image: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """``[B, H, W, C]`` and ``[B, N, 2]`` → patches ``[B, N, S, g, g, C]``."""
        number, channels = places.shape[1], image.shape[-1]
        boxes = glimpse_boxes(places, tf.shape(image)[1:3], self.glimpse_size, self.num_scales)
        crops = self.transformer(image, tf.reshape(boxes, [-1, number * self.num_scales, 4]))
        return tf.reshape(crops, [-1, number, self.num_scales, self.glimpse_size, self.glimpse_size, channels])

    def compute_output_shape(
        self, image_shape: tuple[int | None, ...], places_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (image_shape[0], places_shape[1], self.units)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        names = ("glimpse_size", "num_scales", "units", "hidden_units")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
