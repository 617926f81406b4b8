"""The recurrent attention model (Mnih et al. 2014)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.models.hard_attention import HardAttentionClassifier
from tfvs.models.image_classifier import Shapes


@keras.saving.register_keras_serializable("tfvs")
class RAM(HardAttentionClassifier):
    """A recurrent core sees a glimpse, decides where the next one falls, and classifies after the last.

    The core is an LSTM, which public versions found better than the paper's rectified one, and learns from the
    cross-entropy alone: the score function's gradient ends at its output, which keeps learning steady. The first
    place is drawn evenly from the image while training, and is its middle otherwise. It reads ``"image"`` alone;
    arguments are those of :class:`HardAttentionClassifier`.
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        self.core = keras.layers.LSTMCell(self.units, name="core", dtype=self.dtype_policy)

    def build_parts(self, shapes: Shapes) -> None:
        """Args: shapes: Shape of each input."""
        super().build_parts(shapes)
        self.core.build((None, self.units))

    def follow(
        self, image: tf.Tensor, inputs: dict[str, tf.Tensor], samples: int, training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """See the base class; T - 1 places are drawn from the policy."""
        del inputs
        batch = tf.shape(image)[0]
        states = [tf.zeros([batch * samples, self.units], self.compute_dtype)] * 2
        place = tf.zeros([batch, samples, 2])
        if training:
            place = keras.random.uniform(tf.shape(place), -1.0, 1.0, dtype="float32", seed=self._noise)
        place = tf.ensure_shape(place, [None, samples, 2])
        places, log_probs, baselines = [], [], []
        for step in range(self.num_steps):
            places.append(place)
            glimpse = tf.reshape(self.glimpses(image, place), [-1, self.units])
            output, states = self.core(glimpse, states)
            if step < self.num_steps - 1:
                place, log_prob, baseline = self.next_place(tf.stop_gradient(output), samples, training)
                log_probs.append(log_prob)
                baselines.append(baseline)
        return output, places, log_probs, baselines
