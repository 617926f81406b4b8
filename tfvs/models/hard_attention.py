"""What RAM and DRAM share: places drawn one after another, learned by the score function with a learned baseline."""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.glimpse_network import GlimpseNetwork, glimpse_boxes
from tfvs.models.image_classifier import ImageClassifier, Shapes
from tfvs.models.pixels import IMAGE, to_float
from tfvs.models.resnet import image_shape


class HardAttentionOutput(NamedTuple):
    """What RAM and DRAM give; M trajectories while training, one otherwise.

    Attributes:
      logits: ``[B, K]`` float32; of several trajectories the logarithm of the mean probability.
      boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]``, the finest patch at each place of the first trajectory.
      trajectory_logits: ``[B, M, K]`` float32.
      log_prob: ``[B, M, D]`` float32, log density of each place that was drawn from the policy.
      baseline: ``[B, M, D]`` float32, the reward that the network expected before each of these draws.
    """

    logits: tf.Tensor
    boxes: tf.Tensor
    trajectory_logits: tf.Tensor
    log_prob: tf.Tensor
    baseline: tf.Tensor


def score_function_loss(log_prob: tf.Tensor, reward: tf.Tensor, baseline: tf.Tensor) -> tf.Tensor:
    """A loss whose gradient in the policy is the REINFORCE estimate of that of the negative expected reward.

    Args:
      log_prob: ``[..., D]`` float32, log density of each draw.
      reward: ``[...]`` float32, of the whole trajectory.
      baseline: ``[..., D]`` float32, subtracted from the reward of each draw; no gradient reaches it.

    Returns:
      ``[...]`` float32 (Williams 1992; equation 4 of Mnih et al. 2014).
    """
    advantage = tf.stop_gradient(reward[..., tf.newaxis] - baseline)
    return -tf.reduce_sum(advantage * log_prob, axis=-1)


class HardAttentionClassifier(ImageClassifier):
    """Base of RAM and DRAM. Subclasses say how glimpses become states, and where the next one falls.

    The loss is the cross-entropy, the squared error of the baseline, and ``reinforce_weight`` times the score
    function's; the reward is 1 for a right class and 0 for a wrong one. While training each image is followed along
    ``num_samples`` trajectories, whose gradients are averaged. At other times places are the policy's means, so that
    answers repeat.

    Args:
      num_classes: K, at least 2.
      num_steps: T, glimpses per trajectory.
      glimpse_size: Side of the finest patch, pixels.
      num_scales: Patches per glimpse, each twice as wide as the one before.
      units: Width of the recurrent cores and of the glimpse's features.
      location_stddev: Standard deviation of the policy, in coordinates of -1 to 1.
      num_samples: M, trajectories per image while training.
      reinforce_weight: Weight of the score function's loss.
      **kwargs: Arguments of :class:`keras.Model`.

    Raises:
      ConfigError: A number that cannot work.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = (
        "num_classes",
        "num_steps",
        "glimpse_size",
        "num_scales",
        "units",
        "location_stddev",
        "num_samples",
        "reinforce_weight",
    )

    def __init__(
        self,
        num_classes: int,
        num_steps: int = 8,
        glimpse_size: int = 12,
        num_scales: int = 3,
        units: int = 256,
        location_stddev: float = 0.15,
        num_samples: int = 10,
        reinforce_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(num_classes >= 2, "num_classes is too small", expected="at least 2", received=num_classes)
        for name, value in (("num_steps", num_steps), ("units", units), ("num_samples", num_samples)):
            require(value >= 1, f"{name} is too small", expected="at least 1", received=value)
        require(location_stddev > 0, "location_stddev is too small", expected="above 0", received=location_stddev)
        require(reinforce_weight >= 0, "reinforce_weight is negative", expected="0 or more", received=reinforce_weight)
        self.num_classes, self.num_steps, self.units = num_classes, num_steps, units
        self.glimpse_size, self.num_scales = glimpse_size, num_scales
        self.location_stddev, self.num_samples = location_stddev, num_samples
        self.reinforce_weight = reinforce_weight
        policy = self.dtype_policy
        self.glimpses = GlimpseNetwork(glimpse_size, num_scales, units, name="glimpses", dtype=policy)
        self.locator_hidden = keras.layers.Dense(units // 2, activation="relu", name="locator_hidden", dtype=policy)
        self.locator = keras.layers.Dense(2, activation="tanh", name="locator", dtype="float32")
        self.expected_reward = keras.layers.Dense(1, name="expected_reward", dtype="float32")
        self.head = keras.layers.Dense(num_classes, name="head", dtype=policy)
        self._noise = keras.random.SeedGenerator()

    def check_shapes(self, shapes: Shapes) -> None:
        """See :meth:`tfvs.models.image_classifier.ImageClassifier.check_shapes`."""
        image_shape(shapes)

    def build_parts(self, shapes: Shapes) -> None:
        """Args: shapes: Shape of each input."""
        self.glimpses.build(image_shape(shapes), (None, None, 2))
        self.locator_hidden.build((None, self.units))
        self.locator.build((None, self.units // 2))
        self.expected_reward.build((None, self.units))
        self.head.build((None, self.units))

    @abc.abstractmethod
    def follow(
        self, image: tf.Tensor, inputs: dict[str, tf.Tensor], samples: int, training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Runs all trajectories.

        Args:
          image: ``[B, H, W, C]`` float32.
          inputs: All inputs of the model.
          samples: M.
          training: Whether places are drawn.

        Returns:
          The state that is classified, ``[B · M, units]``; the T places, ``[B, M, 2]`` each; the log densities of those
          that were drawn, and the baselines of these draws, ``[B, M]`` each.
        """

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> HardAttentionOutput:
        """Classifies ``inputs["image"] [B, H, W, C]``, in [0, 1] or uint8 or uint16."""
        image = to_float(inputs[IMAGE], IMAGE)
        samples = self.num_samples if training else 1
        state, places, log_prob, baseline = self.follow(image, inputs, samples, training)
        logits = tf.reshape(tf.cast(self.head(state), tf.float32), [-1, samples, self.num_classes])
        log_mean = tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=1) - math.log(samples)
        first = tf.stack([place[:, 0] for place in places], axis=1)  # [B, T, 2]
        boxes = glimpse_boxes(first, tf.shape(image)[1:3], self.glimpse_size, 1)[:, :, 0]
        none = tf.zeros([tf.shape(image)[0], samples, 0])
        return HardAttentionOutput(
            log_mean,
            boxes,
            logits,
            tf.stack(log_prob, axis=-1) if log_prob else none,
            tf.stack(baseline, axis=-1) if baseline else none,
        )

    def next_place(self, state: tf.Tensor, samples: int, training: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Where the policy looks next.

        Args:
          state: ``[B · M, units]``; the baseline's gradient does not reach what made it.
          samples: M.
          training: Whether to draw; else the mean.

        Returns:
          The place ``[B, M, 2]``, its log density and the baseline, ``[B, M]``.
        """
        mean = tf.reshape(self.locator(self.locator_hidden(state)), [-1, samples, 2])
        baseline = tf.reshape(self.expected_reward(tf.stop_gradient(state)), [-1, samples])
        place = mean
        if training:
            noise = keras.random.normal(tf.shape(mean), dtype="float32", seed=self._noise)
            place = tf.stop_gradient(mean + self.location_stddev * noise)
        squares = tf.reduce_sum(((place - mean) / self.location_stddev) ** 2, axis=-1)
        log_prob = -0.5 * squares - 2.0 * math.log(self.location_stddev * math.sqrt(2.0 * math.pi))
        return tf.clip_by_value(place, -1.0, 1.0), log_prob, baseline

    def loss_per_image(self, labels: tf.Tensor, outputs: HardAttentionOutput, weights: tf.Tensor) -> tf.Tensor:
        """See the class."""
        logits = outputs.trajectory_logits
        repeated = tf.repeat(labels[:, tf.newaxis], tf.shape(logits)[1], axis=1)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=repeated, logits=logits)  # [B, M]
        reward = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == repeated, tf.float32)
        errors = tf.reduce_sum((reward[..., tf.newaxis] - outputs.baseline) ** 2, axis=-1)
        policy = score_function_loss(outputs.log_prob, reward, outputs.baseline)
        return tf.reduce_mean(entropy + errors / float(self.num_steps) + self.reinforce_weight * policy, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.OPTIONS}}
