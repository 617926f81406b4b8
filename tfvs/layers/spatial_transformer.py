"""Spatial transformer: bilinear crops of a dense image, differentiable in the boxes (eq. 6 and 7)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.images.crops.dense import read_dense_crops


@keras.saving.register_keras_serializable("tfvs")
class SpatialTransformer(keras.layers.Layer):
    """Cuts T crops of S × S pixels out of a dense image by bilinear sampling (eq. 6 and 7).

    Each crop is sampled from the pyramid level of its scale, made of means over 2 × 2 pixels, so that nothing aliases
    where a crop is much larger than S pixels. ``max_level=0`` is the paper's layer, which samples the image itself. Any
    aspect and any number of channels.

    A :class:`tfvs.VariationalSaccader` calls the layer as ``model.spatial_transformer`` for the input ``"image"``. To
    replace it, subclass it, register the class with Keras and give an instance to the model:

    >>> @keras.saving.register_keras_serializable("example")
    ... class Brighter(SpatialTransformer):
    ...     def call(self, image, boxes):
    ...         return super().call(image, boxes) ** 0.5
    >>> from tfvs import VariationalSaccader
    >>> model = VariationalSaccader(num_classes=2, crop_size=16, spatial_transformer=Brighter(16, name="brighter"))
    >>> model.get_layer("brighter") is model.spatial_transformer
    True

    By itself:

    >>> image = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
    >>> crops = SpatialTransformer(2)(image, tf.constant([[[0.0, 0.0, 0.5, 0.5]]]))
    >>> crops[0, 0, ..., 0].numpy().tolist()
    [[0.0, 1.0], [4.0, 5.0]]

    Args:
      crop_size: S, pixels.
      fill_value: What lies outside the image.
      max_level: Coarsest pyramid level that is sampled; None: whichever the crop's scale asks for.
      max_scale: Largest side of a box as a fraction of the image's shorter side, if known: levels that only larger
        boxes need are then not made. None: any.

    Raises:
      ConfigError: A crop size below 1, a negative level, or a scale that is not above 0.
    """

    def __init__(
        self,
        crop_size: int,
        fill_value: float = 0.0,
        max_level: int | None = None,
        max_scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        require(crop_size >= 1, "crop_size is too small", expected="at least 1", received=crop_size)
        require(max_level is None or max_level >= 0, "max_level is negative", expected="0 or more", received=max_level)
        require(max_scale is None or max_scale > 0, "max_scale is too small", expected="above 0", received=max_scale)
        self.crop_size, self.fill_value = crop_size, fill_value
        self.max_level, self.max_scale = max_level, max_scale

    def build(self, image_shape: Any, boxes_shape: Any) -> None:
        """There is nothing to create."""

    def call(self, image: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Crops.

        Args:
          image: ``[B, H, W, C]`` float, or uint8 or uint16, whose levels are those of a pyramid file to the grey level.
          boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].

        Returns:
          ``[B, T, S, S, C]``, the dtype of the image, or float32 in [0, 1] for an image of integers. Differentiable in
          the boxes and in an image of floats.
        """
        return read_dense_crops(
            tf.convert_to_tensor(image),
            tf.cast(boxes, tf.float32),
            self.crop_size,
            max_level=self.max_level,
            max_scale=self.max_scale,
            fill_value=self.fill_value,
        )

    def compute_output_shape(
        self, image_shape: tuple[int | None, ...], boxes_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (image_shape[0], boxes_shape[1], self.crop_size, self.crop_size, image_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {
            **super().get_config(),
            "crop_size": self.crop_size,
            "fill_value": self.fill_value,
            "max_level": self.max_level,
            "max_scale": self.max_scale,
        }
