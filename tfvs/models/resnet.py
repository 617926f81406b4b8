"""ResNet18 on the whole image: the paper's simplest baseline."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.errors import InputError
from tfvs.layers.residual_block import ResidualBlock, make_norm
from tfvs.layers.shapes import CHANNELS_LAST
from tfvs.models.image_classifier import ImageClassifier, Shapes
from tfvs.models.pixels import IMAGE, to_float

STAGES = (64, 128, 256, 512)


class ClassifierOutput(NamedTuple):
    """What a baseline gives.

    Attributes:
      logits: ``[B, K]`` float32.
    """

    logits: tf.Tensor


def image_shape(input_shape: dict[str, tuple[int | None, ...]]) -> tuple[int | None, ...]:
    """The shape of the input ``"image"``.

    Raises:
      InputError: There is none, or its channels are not known.
    """
    shape = input_shape.get(IMAGE) if isinstance(input_shape, dict) else None
    if shape is None or len(shape) != 4 or shape[-1] is None:
        raise InputError(
            "A baseline needs dense images",
            expected=f"a dict with {IMAGE!r} [B, H, W, C], C known",
            received=shape if shape is not None else input_shape,
        )
    return tuple(shape)


@keras.saving.register_keras_serializable("tfvs")
class ResNetBackbone(keras.layers.Layer):
    """ResNet18 without its classifier (He et al. 2015): 7×7 stride 2, max-pool, four stages of two blocks, mean-pool.

    Args:
      normalization: ``"batch"``, or ``"group"``, which does not mix the images of a batch.
    """

    def __init__(self, normalization: str = "batch", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.normalization = normalization
        policy = self.dtype_policy
        self.stem = keras.layers.Conv2D(
            STAGES[0],
            7,
            strides=2,
            padding="same",
            use_bias=False,
            name="stem",
            dtype=policy,
            data_format=CHANNELS_LAST,
        )
        self.stem_norm = make_norm(normalization, STAGES[0], "stem_norm", policy)
        self.pool = keras.layers.MaxPooling2D(
            3, strides=2, padding="same", name="pool", dtype=policy, data_format=CHANNELS_LAST
        )
        self.blocks = [
            ResidualBlock(
                filters,
                strides=2 if i == 0 and stage else 1,
                normalization=normalization,
                name=f"stage_{stage}_{i}",
                dtype=policy,
            )
            for stage, filters in enumerate(STAGES)
            for i in range(2)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Args: input_shape: ``[B, H, W, C]``."""
        self.stem.build(input_shape)
        shape = self.stem.compute_output_shape(input_shape)
        self.stem_norm.build(shape)
        self.pool.build(shape)
        shape = self.pool.compute_output_shape(shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """``[B, H, W, C]`` → ``[B, 512]``."""
        x = self.pool(tf.nn.relu(self.stem_norm(self.stem(inputs), training=training)))
        for block in self.blocks:
            x = block(x, training=training)
        return tf.reduce_mean(x, axis=[1, 2])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (input_shape[0], STAGES[-1])

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), "normalization": self.normalization}


@keras.saving.register_keras_serializable("tfvs")
class ResNet18(ImageClassifier):
    """ResNet18 on the whole image. Inputs as the saccader's; it looks at ``"image"`` only.

    Args:
      num_classes: K, at least 2.
      normalization: ``"batch"`` or ``"group"``.
      **kwargs: Arguments of :class:`keras.Model`.

    Raises:
      ConfigError: Too few classes or an unknown normalisation.
    """

    def __init__(self, num_classes: int, normalization: str = "batch", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(num_classes >= 2, "num_classes is too small", expected="at least 2", received=num_classes)
        self.num_classes, self.normalization = num_classes, normalization
        self.backbone = ResNetBackbone(normalization, name="backbone", dtype=self.dtype_policy)
        self.head = keras.layers.Dense(num_classes, name="head", dtype=self.dtype_policy)

    def check_shapes(self, shapes: Shapes) -> None:
        """See :meth:`tfvs.models.image_classifier.ImageClassifier.check_shapes`."""
        image_shape(shapes)

    def build_parts(self, shapes: Shapes) -> None:
        """Args: shapes: Shape of each input."""
        self.backbone.build(image_shape(shapes))
        self.head.build((None, STAGES[-1]))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> ClassifierOutput:
        """Classifies ``inputs["image"] [B, H, W, C]``, in [0, 1] or uint8 or uint16."""
        features = self.backbone(to_float(inputs[IMAGE], IMAGE), training=training)
        return ClassifierOutput(tf.cast(self.head(features), tf.float32))

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), "num_classes": self.num_classes, "normalization": self.normalization}
