"""Localized spatial transformer: crops from regions of interest alone, of a tiled pyramid or of a dense image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.errors import InputError
from tfvs.images.crops.dense import read_region_crops
from tfvs.images.crops.reader import TileCrops, read_crops
from tfvs.layers.spatial_transformer import SpatialTransformer


@keras.saving.register_keras_serializable("tfvs")
class LocalizedSpatialTransformer(SpatialTransformer):
    """Cuts each crop out of its region of interest alone: the spatial transformer for images too large to hold.

    The bilinear kernel of eq. 7 reads, for its value and for its gradient, a point's four neighbours and nothing else.
    So a crop needs only the pixels around its box. From a pyramid they are read tile by tile, each tile once, at the
    level of the crop's scale (:meth:`crop_tiles`); from a dense image the region is cut out first and then resampled
    in its own coordinates (:meth:`crop_regions`). With ``margin_px >= 1`` values and gradients are those of
    :class:`SpatialTransformer` on the same pixels. With ``margin_px=0`` the region ends at the support of the grid,
    as in the paper's layer, and the samples at its border lose a neighbour.

    A :class:`tfvs.VariationalSaccader` calls the layer as ``model.localized_spatial_transformer`` for pyramids, and for
    dense images where its configuration says ``localized``. It is replaced as :class:`SpatialTransformer` is; override
    :meth:`crop_tiles`, :meth:`crop_regions` or both.

    >>> image = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
    >>> box = tf.constant([[[0.25, 0.25, 0.5, 0.5]]])  # the pixel 5, enlarged
    >>> LocalizedSpatialTransformer(2)(image, box)[0, 0, ..., 0].numpy().tolist()
    [[3.75, 4.25], [5.75, 6.25]]
    >>> LocalizedSpatialTransformer(2, margin_px=0)(image, box)[0, 0, ..., 0].numpy().tolist()
    [[2.8125, 2.8125], [2.8125, 2.8125]]
    >>> features = {"pyramid/uri": tf.constant(["a.tif"])}  # and the others of tfvs.data.example.PYRAMID_FEATURES
    >>> LocalizedSpatialTransformer(2)(features, box, roots=["/data"], channels=3)  # doctest: +SKIP
    TileCrops(crops=..., valid=..., tiles_read=...)

    Regions differ in size, so XLA cannot compile this layer.

    Args:
      crop_size: S, pixels.
      margin_px: Pixels around the box that are read too.
      fill_value: What lies outside the image, and outside the region.
      max_level: Coarsest pyramid level that is read; None: whichever the crop's scale asks for.
      max_scale: As in :class:`SpatialTransformer`; for dense images alone.

    Raises:
      ConfigError: A crop size below 1, a negative margin or level, or a scale that is not above 0.
    """

    def __init__(
        self,
        crop_size: int,
        margin_px: int = 1,
        fill_value: float = 0.0,
        max_level: int | None = None,
        max_scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(crop_size, fill_value, max_level, max_scale, **kwargs)
        require(margin_px >= 0, "margin_px is negative", expected="0 or more", received=margin_px)
        self.margin_px = margin_px

    def call(
        self,
        image: tf.Tensor | Mapping[str, tf.Tensor],
        boxes: tf.Tensor,
        roots: Sequence[str] | tf.Tensor | None = None,
        channels: int | None = None,
    ) -> tf.Tensor | TileCrops:
        """Crops.

        Args:
          image: A dense image ``[B, H, W, C]`` float; or the features of a pyramid, those of
            :data:`tfvs.data.example.PYRAMID_FEATURES` as ``parse_examples`` returns them.
          boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].
          roots: Folders that pyramids may lie in; see :func:`tfvs.images.crops.reader.read_crops`.
          channels: C of pyramids; those with others are invalid.

        Returns:
          For a dense image ``[B, T, S, S, C]``, its dtype, differentiable in image and boxes. For pyramids a
          :class:`TileCrops`, whose crops are differentiable in the boxes.

        Raises:
          InputError: Pyramids without ``roots`` or ``channels``.
        """
        if not isinstance(image, Mapping):
            return self.crop_regions(tf.convert_to_tensor(image), tf.cast(boxes, tf.float32))
        if roots is None or channels is None:
            raise InputError(
                "The tiles of pyramids cannot be read",
                expected="roots, the folders they lie in, and channels",
                received=f"roots={roots}, channels={channels}",
            )
        return self.crop_tiles(image, tf.cast(boxes, tf.float32), roots, channels)

    def crop_tiles(
        self, features: Mapping[str, tf.Tensor], boxes: tf.Tensor, roots: Sequence[str] | tf.Tensor, channels: int
    ) -> TileCrops:
        """Crops of pyramids, from the tiles that the regions touch; arguments as in :meth:`call`."""
        return read_crops(
            features,
            boxes,
            self.crop_size,
            roots=roots,
            bands=channels,
            margin_px=self.margin_px,
            max_level=self.max_level,
            fill_value=self.fill_value,
        )

    def crop_regions(self, image: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Crops of a dense image, from regions cut out of it; arguments as in :meth:`call`."""
        return read_region_crops(
            image,
            boxes,
            self.crop_size,
            margin_px=self.margin_px,
            max_level=self.max_level,
            max_scale=self.max_scale,
            fill_value=self.fill_value,
        )

    def compute_output_spec(self, image: Any, boxes: Any, roots: Any = None, channels: int | None = None) -> Any:
        """Symbolic output: of a dense image the crops, of pyramids a :class:`TileCrops`."""
        if not isinstance(image, Mapping):
            return super().compute_output_spec(image, boxes)
        batch, steps = boxes.shape[:2]
        return TileCrops(
            keras.KerasTensor((batch, steps, self.crop_size, self.crop_size, channels), "float32"),
            keras.KerasTensor((batch,), "bool"),
            keras.KerasTensor((batch,), "int32"),
        )

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), "margin_px": self.margin_px}
