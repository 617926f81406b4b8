"""The deep recurrent attention model (Ba et al. 2015)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.errors import InputError
from tfvs.models.hard_attention import HardAttentionClassifier
from tfvs.models.image_classifier import Shapes
from tfvs.models.pixels import PROXY, to_float


@keras.saving.register_keras_serializable("tfvs")
class DRAM(HardAttentionClassifier):
    """Two recurrent layers: the lower one sees glimpses and classifies, the upper one decides where they fall.

    The upper layer begins with what a context network sees in a thumbnail of the whole image, so that the first place
    is already a choice; the lower one, which classifies, never sees the thumbnail. The thumbnail is the input
    ``"proxy"``, made ``context_size`` pixels high and wide. Labels are one class per image, where the paper reads a
    sequence of them.

    Args:
      num_classes: K, at least 2.
      num_scales: Patches per glimpse.
      context_size: Side of the thumbnail, pixels, at least 8.
      reinforce_weight: Weight of the score function's loss, whose gradient reaches all layers here.
      **kwargs: Further arguments of :class:`HardAttentionClassifier`.

    Raises:
      ConfigError: A number that cannot work.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = (*HardAttentionClassifier.OPTIONS, "context_size")

    def __init__(
        self,
        num_classes: int,
        num_scales: int = 2,
        context_size: int = 24,
        reinforce_weight: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, num_scales=num_scales, reinforce_weight=reinforce_weight, **kwargs)
        require(context_size >= 8, "context_size is too small", expected="at least 8", received=context_size)
        self.context_size = context_size
        policy = self.dtype_policy
        shared: dict[str, Any] = {
            "filters": 32,
            "activation": "relu",
            "padding": "same",
            "data_format": "channels_last",
            "dtype": policy,
        }
        self.context_convolutions = [
            keras.layers.Conv2D(kernel_size=5, strides=2, name="context_0", **shared),
            keras.layers.Conv2D(kernel_size=3, name="context_1", **shared),
        ]
        self.context = keras.layers.Dense(self.units, activation="tanh", name="context", dtype=policy)
        self.lower = keras.layers.LSTMCell(self.units, name="lower", dtype=policy)
        self.upper = keras.layers.LSTMCell(self.units, name="upper", dtype=policy)

    def check_shapes(self, shapes: Shapes) -> None:
        """See :meth:`tfvs.models.image_classifier.ImageClassifier.check_shapes`.

        Raises:
          InputError: There is no thumbnail.
        """
        super().check_shapes(shapes)
        proxy = shapes.get(PROXY)
        if proxy is None or len(proxy) != 4 or proxy[-1] is None:
            raise InputError(
                "The upper layer needs a thumbnail",
                expected=f"an input {PROXY!r} [B, h, w, C], C known",
                received=sorted(shapes) if proxy is None else proxy,
            )

    def build_parts(self, shapes: Shapes) -> None:
        """Args: shapes: Shape of each input."""
        super().build_parts(shapes)
        shape: tuple[int | None, ...] = (None, self.context_size, self.context_size, shapes[PROXY][-1])
        for layer in self.context_convolutions:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.context.build((None, shape[1] * shape[2] * shape[3]))  # type: ignore[operator]
        self.lower.build((None, self.units))
        self.upper.build((None, self.units))

    def follow(
        self, image: tf.Tensor, inputs: dict[str, tf.Tensor], samples: int, training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """See the base class; all T places are drawn from the policy."""
        context = tf.repeat(self._see(inputs[PROXY]), samples, axis=0)  # [B · M, units]
        zeros = tf.zeros_like(context)
        lower, upper, above = [zeros, zeros], [context, zeros], context
        places, log_probs, baselines = [], [], []
        for _ in range(self.num_steps):
            place, log_prob, baseline = self.next_place(above, samples, training)
            places.append(place)
            log_probs.append(log_prob)
            baselines.append(baseline)
            glimpse = tf.reshape(self.glimpses(image, place), [-1, self.units])
            below, lower = self.lower(glimpse, lower)
            above, upper = self.upper(below, upper)
        return below, places, log_probs, baselines

    def _see(self, proxy: tf.Tensor) -> tf.Tensor:
        """The thumbnail's features, ``[B, units]``."""
        x = tf.image.resize(to_float(proxy, PROXY), [self.context_size, self.context_size], antialias=True)
        for layer in self.context_convolutions:
            x = layer(x)
        return self.context(tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]]))
