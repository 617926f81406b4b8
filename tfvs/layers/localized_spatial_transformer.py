"""Crops out of regions of interest: the spatial transformer's values and gradients from few pixels."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.spatial_transformer import SpatialTransformer
from tfvs.ops import boxes as box_ops
from tfvs.ops import sampling


@keras.saving.register_keras_serializable("tfvs")
class LocalizedSpatialTransformer(SpatialTransformer):
    """Cuts each crop out of its region of interest alone, sampled in the region's own coordinates.

    The bilinear kernel of eq. 7 reads, for its value and for its gradient, a point's four neighbours and nothing else.
    So with ``margin_px >= 1`` pixels around the box this layer gives exactly what :class:`SpatialTransformer` gives,
    gradients with respect to s, x and y included. With ``margin_px=0`` the region ends at the support of the grid, as
    in the paper's LST, and the samples at its border lose a neighbour.

    Regions differ in size, so XLA cannot compile this layer.

    Args:
      crop_size: S, pixels.
      margin_px: Pixels around the box that are read too.
      fill_value: What lies outside the image, and outside the region.

    Raises:
      ConfigError: A crop size below 1 or a negative margin.
    """

    def __init__(self, crop_size: int, margin_px: int = 1, fill_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(crop_size, fill_value, **kwargs)
        require(margin_px >= 0, "margin_px is negative", expected="0 or more", received=margin_px)
        self.margin_px = margin_px

    def call(self, image: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Crops.

        Args:
          image: ``[B, H, W, C]`` float.
          boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].

        Returns:
          ``[B, T, S, S, C]``, the dtype of the image. Differentiable in both.
        """
        batch, steps, channels = tf.shape(boxes)[0], tf.shape(boxes)[1], image.shape[-1]
        height, width = tf.shape(image)[1], tf.shape(image)[2]
        y0, x0, y1, x1 = tf.unstack(
            box_ops.boxes_to_pixels(tf.cast(boxes, tf.float32), tf.shape(image)[1:3]), axis=-1
        )  # [B, T]
        row_index, rows_kept, top = self._axis(y0, y1, height)  # [B, T, h], [B, T, h], [B, T]
        column_index, columns_kept, left = self._axis(x0, x1, width)

        flat = row_index[..., :, tf.newaxis] * width + column_index[..., tf.newaxis, :]  # [B, T, h, w]
        pixels = tf.reshape(image, [batch, height * width, channels])
        regions = tf.gather(pixels, flat, batch_dims=1)  # [B, T, h, w, C]
        kept = (rows_kept[..., :, tf.newaxis] & columns_kept[..., tf.newaxis, :])[..., tf.newaxis]
        regions = tf.where(kept, regions, tf.cast(self.fill_value, regions.dtype))

        # Regions begin at a pixel of the image, so this subtraction is exact: the positions lose not one bit.
        ys = sampling.sample_positions(y0, y1, self.crop_size) - top[..., tf.newaxis]
        xs = sampling.sample_positions(x0, x1, self.crop_size) - left[..., tf.newaxis]
        merged = tf.concat([[batch * steps], tf.shape(regions)[2:]], axis=0)
        crops = sampling.bilinear_sample(
            tf.reshape(regions, merged),
            tf.reshape(ys, [-1, self.crop_size]),
            tf.reshape(xs, [-1, self.crop_size]),
            self.fill_value,
        )
        return tf.reshape(crops, [batch, steps, self.crop_size, self.crop_size, channels])

    def _axis(self, start: tf.Tensor, stop: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Pixels of each region along one axis: their indices in the image, which are real, and where they begin."""
        start, stop = tf.stop_gradient(start), tf.stop_gradient(stop)
        first = tf.maximum(tf.cast(tf.floor(start), tf.int32) - self.margin_px, 0)  # [B, T]
        end = tf.cast(tf.math.ceil(stop), tf.int32) + self.margin_px
        longest = tf.maximum(tf.reduce_max(end - first), 1)
        index = first[..., tf.newaxis] + tf.range(longest)  # [B, T, n]
        kept = (index < end[..., tf.newaxis]) & (index < size)
        return tf.clip_by_value(index, 0, size - 1), kept, tf.cast(first, start.dtype)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), "margin_px": self.margin_px}
