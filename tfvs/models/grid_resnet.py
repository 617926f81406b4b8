"""ResNet18 on a grid of crops: the paper's baseline for images too large for one network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.errors import InputError
from tfvs.models.image_classifier import ImageClassifier, Shapes
from tfvs.models.pixels import IMAGE, to_float
from tfvs.models.resnet import ClassifierOutput, ResNetBackbone, image_shape


def grid_starts(length: tf.Tensor, crop_size: int, crops: int) -> tf.Tensor:
    """Where the crops of one axis begin: evenly spread, the first at 0 and the last aligned to the edge.

    Args:
      length: Scalar int32, pixels along the axis.
      crop_size: Pixels.
      crops: How many.

    Returns:
      ``[crops]`` int32, pixels.
    """
    if crops == 1:
        return tf.zeros([1], tf.int32)
    return tf.range(crops) * (length - crop_size) // (crops - 1)


@keras.saving.register_keras_serializable("tfvs")
class GridResNet18(ImageClassifier):
    """ResNet18 on N² crops, outputs summed, then a small dense head: ``f(Σ_i g(x_i))``.

    Crops go through the network one grid cell at a time, and backward passes recompute each cell, so memory does not
    grow with N². The network uses group normalisation, since a cell's statistics are not the image's.

    Args:
      num_classes: K, at least 2.
      grid: N; 12 gives the paper's 144 crops.
      crop_size: Side of a crop, pixels; 224 at 2528² in the paper.
      output_size: Width of each crop's output, which are summed.
      head_units: Width of the head's hidden layer.
      **kwargs: Arguments of :class:`keras.Model`.

    Raises:
      ConfigError: A size that cannot work.
    """

    def __init__(
        self,
        num_classes: int,
        grid: int = 12,
        crop_size: int = 224,
        output_size: int = 256,
        head_units: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (
            ("num_classes", num_classes, 2),
            ("grid", grid, 1),
            ("crop_size", crop_size, 1),
            ("output_size", output_size, 1),
            ("head_units", head_units, 1),
        ):
            require(value >= least, f"{name} is too small", expected=f"at least {least}", received=value)
        self.num_classes, self.grid, self.crop_size = num_classes, grid, crop_size
        self.output_size, self.head_units = output_size, head_units
        policy = self.dtype_policy
        self.backbone = ResNetBackbone("group", name="backbone", dtype=policy)
        self.crop_output = keras.layers.Dense(output_size, name="crop_output", dtype=policy)
        self.hidden = keras.layers.Dense(head_units, activation="relu", name="hidden", dtype=policy)
        self.head = keras.layers.Dense(num_classes, name="head", dtype=policy)

    def check_shapes(self, shapes: Shapes) -> None:
        """See :meth:`tfvs.models.image_classifier.ImageClassifier.check_shapes`.

        Raises:
          InputError: The image is smaller than a crop.
        """
        shape = image_shape(shapes)
        if any(side is not None and side < self.crop_size for side in shape[1:3]):
            raise InputError(
                "A crop is larger than the image",
                expected=f"an image of at least {self.crop_size} pixels per side",
                received=shape,
                mend="Make crop_size smaller",
            )

    def build_parts(self, shapes: Shapes) -> None:
        """Args: shapes: Shape of each input."""
        shape = image_shape(shapes)
        self.backbone.build((None, self.crop_size, self.crop_size, shape[-1]))
        self.crop_output.build((None, *self.backbone.compute_output_shape((None,))[1:]))
        self.hidden.build((None, self.output_size))
        self.head.build((None, self.head_units))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> ClassifierOutput:
        """Classifies ``inputs["image"] [B, H, W, C]``, in [0, 1] or uint8 or uint16."""
        image = to_float(inputs[IMAGE], IMAGE)
        size = self.crop_size
        ys = grid_starts(tf.shape(image)[1], size, self.grid)
        xs = grid_starts(tf.shape(image)[2], size, self.grid)

        cells = tf.reshape(tf.stack(tf.meshgrid(ys, xs, indexing="ij"), axis=-1), [-1, 2])  # [N², 2]
        summed = self._sum_cells(image, cells, training)  # [B, O]
        return ClassifierOutput(tf.cast(self.head(self.hidden(summed)), tf.float32))

    def _cell_output(self, image: tf.Tensor, cell: tf.Tensor, training: bool) -> tf.Tensor:
        size = self.crop_size
        crop = tf.slice(image, [0, cell[0], cell[1], 0], [-1, size, size, -1])
        crop = tf.ensure_shape(crop, [None, size, size, image.shape[-1]])
        return tf.cast(self.crop_output(self.backbone(crop, training=training)), tf.float32)

    def _sum_cells(self, image: tf.Tensor, cells: tf.Tensor, training: bool) -> tf.Tensor:
        """``Σ_i g(x_i)`` in a loop that keeps one cell; the backward pass goes through the cells once more."""
        count = self.grid**2

        def accumulate(step: Callable[[tf.Tensor], list[tf.Tensor]], initial: list[tf.Tensor]) -> list[tf.Tensor]:
            def body(i: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
                return (i + 1, *(total + part for total, part in zip(sums, step(i), strict=True)))

            loop = tf.while_loop(lambda i, *_: i < count, body, (tf.constant(0), *initial), parallel_iterations=1)
            return list(loop[1:])

        @tf.custom_gradient
        def summed(image: tf.Tensor) -> tuple[tf.Tensor, Callable]:
            zeros = tf.zeros([tf.shape(image)[0], self.output_size])
            (total,) = accumulate(lambda i: [self._cell_output(image, cells[i], training)], [zeros])

            def gradient(upstream: tf.Tensor, variables: list[tf.Variable]) -> tuple[None, list[tf.Tensor]]:
                def cell_gradients(i: tf.Tensor) -> list[tf.Tensor]:
                    with tf.GradientTape() as tape:
                        output = self._cell_output(image, cells[i], training)
                    return tape.gradient(output, variables, upstream, tf.UnconnectedGradients.ZERO)

                return None, accumulate(cell_gradients, [tf.zeros(v.shape, v.dtype) for v in variables])

            return total, gradient

        return summed(tf.stop_gradient(image))

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = {
            "num_classes": self.num_classes,
            "grid": self.grid,
            "crop_size": self.crop_size,
            "output_size": self.output_size,
            "head_units": self.head_units,
        }
        return {**super().get_config(), **config}
