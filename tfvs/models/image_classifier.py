"""What the saccader and its baselines share: logits in, a weighted loss out."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvs.errors import InputError


class ImageClassifier(keras.Model):
    """A Keras model whose outputs are a NamedTuple with ``logits [B, K]``; compile it without a loss.

    One trainer and one evaluator serve every subclass: the loss is its own, metrics see the logits, and
    ``sample_weight`` is honoured in both. Images that the output marks as not ``valid`` weigh 0.
    """

    def loss_per_image(self, labels: tf.Tensor, outputs: Any, weights: tf.Tensor) -> tf.Tensor:
        """Cross-entropy; subclasses add their terms.

        Args:
          labels: ``[B]`` int32 class indices.
          outputs: What ``call`` gave.
          weights: ``[B]`` float32, for metrics of terms.

        Returns:
          ``[B]`` float32 nats.
        """
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs.logits)

    def compute_loss(
        self,
        x: Any = None,
        y: tf.Tensor | None = None,
        y_pred: Any = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The weighted loss, averaged over the batch.

        Args:
          x: Not used.
          y: ``[B]`` or ``[B, 1]`` integer class indices.
          y_pred: What ``call`` gave.
          sample_weight: ``[B]`` or ``[B, 1]`` float32.
          training: Not used.

        Returns:
          Scalar float32, divided by the number of replicas as Keras expects.

        Raises:
          InputError: There are no labels, or they are not class indices.
        """
        del x, training
        if y is None or y_pred is None:
            raise InputError(
                "The loss needs labels", expected="[B] class indices", mend="Give a dataset of (inputs, labels)"
            )
        labels = tf.convert_to_tensor(y)
        if not (labels.shape.rank == 1 or (labels.shape.rank == 2 and labels.shape[-1] == 1)):
            raise InputError(
                "The labels cannot be used",
                expected="class indices [B]",
                received=f"{labels.dtype.name} {labels.shape}",
                mend="Turn one-hot labels into indices with tf.argmax(labels, -1)",
            )
        labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
        weights = self._weights(y_pred, sample_weight)
        losses = self.loss_per_image(labels, y_pred, weights)
        # Where the weight is 0 the loss may be anything, NaN included.
        weighted = tf.where(weights > 0.0, losses * weights, tf.zeros_like(losses))
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context is not None else 1
        shown = tf.reduce_mean(weighted) / float(replicas)
        if replicas == 1:
            return shown
        # Where the devices' shares differ in size, Keras shows this loss rightly, but the sum of its gradients is not
        # that of the mean over the whole batch. So its value is kept, and the gradient is that of the share in it.
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(tf.size(weighted), tf.float32))
        share = tf.reduce_sum(weighted) / tf.stop_gradient(whole)
        return share + tf.stop_gradient(shown - share)

    def compute_metrics(self, x: Any, y: tf.Tensor, y_pred: Any, sample_weight: tf.Tensor | None = None) -> dict:
        """Metrics see the logits and the weights.

        Args:
          x: Not used.
          y: ``[B]`` class indices.
          y_pred: What ``call`` gave.
          sample_weight: ``[B]`` float32.

        Returns:
          Name → value.
        """
        return super().compute_metrics(x, y, y_pred.logits, self._weights(y_pred, sample_weight))

    def _weights(self, outputs: Any, sample_weight: tf.Tensor | None) -> tf.Tensor:
        valid = getattr(outputs, "valid", None)
        weights = tf.ones_like(outputs.logits[:, 0]) if valid is None else tf.cast(valid, tf.float32)
        if sample_weight is not None:
            weights *= tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
        return weights
