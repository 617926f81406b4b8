"""Crops out of a dense image (eq. 6 and 7)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.ops import boxes as box_ops
from tfvs.ops import sampling


@keras.saving.register_keras_serializable("tfvs")
class SpatialTransformer(keras.layers.Layer):
    """Cuts T crops of S×S pixels out of an image by bilinear sampling (eq. 6 and 7).

    Any aspect and any number of channels. Crops are not low-passed: read a coarser pyramid level where a crop is much
    larger than S pixels (:func:`tfvs.images.crops.dense.read_dense_crops` does).

    Args:
      crop_size: S, pixels.
      fill_value: What lies outside the image.
    """

    def __init__(self, crop_size: int, fill_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        require(crop_size >= 1, "crop_size is too small", expected="at least 1", received=crop_size)
        self.crop_size, self.fill_value = crop_size, fill_value

    def build(self, image_shape: tuple[int | None, ...], boxes_shape: tuple[int | None, ...]) -> None:
        """There is nothing to create."""

    def call(self, image: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Crops.

        Args:
          image: ``[B, H, W, C]`` float.
          boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].

        Returns:
          ``[B, T, S, S, C]``, the dtype of the image. Differentiable in both.
        """
        y0, x0, y1, x1 = tf.unstack(
            box_ops.boxes_to_pixels(tf.cast(boxes, tf.float32), tf.shape(image)[1:3]), axis=-1
        )  # [B, T]
        ys = sampling.sample_positions(y0, y1, self.crop_size)
        xs = sampling.sample_positions(x0, x1, self.crop_size)
        return sampling.bilinear_sample(image, ys, xs, self.fill_value)

    def compute_output_shape(
        self, image_shape: tuple[int | None, ...], boxes_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (image_shape[0], boxes_shape[1], self.crop_size, self.crop_size, image_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), "crop_size": self.crop_size, "fill_value": self.fill_value}
