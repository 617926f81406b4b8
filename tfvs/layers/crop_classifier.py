"""Classifies an image from the crops of T looks."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.layers.dense_block import DenseBlock
from tfvs.layers.shapes import known
from tfvs.ops.counts import sums

LOOK_POOLINGS = ("mean", "evidence", "seen", "count")
NOTHING_SEEN = -30.0  # log odds of a look that is left out
# "count": before anything is learned, each further thing in a look is e² times less likely, so that most show none.
NATS_PER_THING = 2.0


class LookAnswers(NamedTuple):
    """What the looks say.

    Attributes:
      logits: ``[B, K]`` float32.
      evidence: ``[B, L, K]`` float32 nats per crop and class; None with ``"mean"`` pooling.
      logits_without: ``[B, T, K]`` float32, without each look; None where it was not asked for.
      shows: ``[B, T]`` float32, the probability that each look shows a thing; None but with ``"count"`` pooling.
    """

    logits: tf.Tensor
    evidence: tf.Tensor | None
    logits_without: tf.Tensor | None
    shows: tf.Tensor | None = None


def check_counting(look_pooling: str, num_scales: int, *, weighted: bool = False) -> None:
    """Checks what ``"count"`` pooling asks for; any other takes all.

    Args:
      look_pooling: One of ``LOOK_POOLINGS``.
      num_scales: Crops per look.
      weighted: Whether what each look contributes is weighted, as attention sampling does.

    Raises:
      ConfigError: A thing in two crops of a look would be counted twice, or a distribution would be weighted.
    """
    if look_pooling != "count":
        return
    require(
        num_scales == 1,
        "Several crops of a look would count a thing twice",
        expected='one scale with look_pooling="count"',
        received=num_scales,
    )
    require(
        not weighted,
        "A look's distribution over counts has no weight",
        expected='another place_gradient than "attention" with look_pooling="count"',
        received='looks with weights, as place_gradient="attention" gives them',
    )


@keras.saving.register_keras_serializable("tfvs")
class CropClassifier(keras.layers.Layer):
    """p(y | f_1 … f_T): one network reads every crop, and the looks are pooled.

    All crops of a batch go through the network at once: locations never depend on crops.

    * ``"mean"``: features are averaged over the looks, and a dense head gives the class.
    * ``"evidence"``: each crop gives nats for each class, less those of a blank crop; the logits are their sum. So the
      share of every look in the answer is exact, and a look at a blank place adds nothing: T may differ between
      training and use.
    * ``"seen"``: the log odds of class c against ``none_class`` are ``b_c + logsumexp_t(e_tc − e_t,none)``: that class
      means that nothing was seen.
    * ``"count"``: class c means c things. Each look gives the logarithm of the probability that it shows 0 … K−1 of
      them, and the logits are those of the sum, the convolution of all looks, given that it is below K. The evidence of
      a look is what the logits lose without it.

    Args:
      encoder: Reads crops: a layer or model ``[N, S, S, C]`` → ``[N, F]``, or what Keras serialized of one.
      num_classes: K, at least 2.
      crop_units: Width of the dense layer on a crop's features.
      head_units: Width of the head's hidden layer, which only ``"mean"`` has.
      normalization: Normalisation of the dense layer of a crop, see :class:`DenseBlock`.
      reads_state: Whether the recurrent state of each step is joined to its crop's features.
      look_pooling: ``"mean"``, ``"evidence"``, ``"seen"`` or ``"count"``.
      none_class: Index of the class that means that nothing was seen; used by ``"seen"`` only.
      num_scales: Crops per look, M; the L = T · M crops of an image lie look by look. 1 with ``"count"`` pooling, which
        would count a thing twice.
      dropout: Fraction of a crop's features that are dropped while training.
      initial_evidence: Factor on the initial weights that give a crop's evidence; not used with ``"mean"`` pooling.

    Raises:
      ConfigError: Too few classes, an unknown pooling, or one that the number of scales does not allow.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | dict[str, Any],
        num_classes: int,
        crop_units: int = 256,
        head_units: int = 256,
        normalization: str = "layer",
        reads_state: bool = False,
        look_pooling: str = "mean",
        none_class: int = 0,
        num_scales: int = 1,
        dropout: float = 0.0,
        initial_evidence: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(num_classes >= 2, "num_classes is too small", expected="at least 2", received=num_classes)
        require(look_pooling in LOOK_POOLINGS, "Unknown pooling", expected=LOOK_POOLINGS, received=repr(look_pooling))
        check_counting(look_pooling, num_scales)
        self.encoder: Any = keras.saving.deserialize_keras_object(encoder) if isinstance(encoder, dict) else encoder
        self.num_classes, self.crop_units, self.head_units = num_classes, crop_units, head_units
        self.normalization, self.reads_state = normalization, reads_state
        self.look_pooling, self.none_class, self.num_scales = look_pooling, none_class, num_scales
        policy = self.dtype_policy
        self.dropout = keras.layers.Dropout(dropout, name="dropout", dtype=policy)
        self.crop_head = DenseBlock(crop_units, normalization, name="crop_head", dtype=policy)
        if look_pooling == "mean":
            self.hidden = keras.layers.Dense(head_units, activation="relu", name="hidden", dtype=policy)
        self.initial_evidence = initial_evidence
        scale = 1.0 if look_pooling == "mean" else initial_evidence**2
        # The bias of a crop's evidence would cancel: it is in a blank crop's as well, or in the log odds' own bias.
        self.logits = keras.layers.Dense(
            num_classes,
            use_bias=look_pooling == "mean",
            kernel_initializer=keras.initializers.VarianceScaling(scale, "fan_avg", "uniform"),
            name="logits",
            dtype=policy,
        )

    def build(
        self, crops_shape: tuple[int | None, ...], hidden_states_shape: tuple[int | None, ...] | None = None
    ) -> None:
        """Args: crops_shape: ``[B, L, S, S, C]``; hidden_states_shape: ``[B, T, D]``."""
        shape: tuple[int | None, ...] = (None, *crops_shape[2:])
        if not self.encoder.built:
            self.encoder.build(shape)
        width = known(self.encoder.compute_output_shape(shape)[-1], "a crop's features")
        if self.reads_state:
            if hidden_states_shape is None:
                raise ValueError("CropClassifier(reads_state=True) is built with the shape of hidden_states as well.")
            width += known(hidden_states_shape[-1], "hidden_states")
        self.crop_head.build((None, width))
        if self.look_pooling == "mean":
            self.hidden.build((None, self.crop_units))
            self.logits.build((None, self.head_units))
        else:
            self.logits.build((None, self.crop_units))
        if self.look_pooling in ("seen", "count"):
            self.bias = self.add_weight(
                name="bias", shape=(self.num_classes,), initializer="zeros", dtype="float32", autocast=False
            )

    def call(self, crops: tf.Tensor, hidden_states: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Logits.

        Args:
          crops: ``[B, L, S, S, C]`` float in [0, 1].
          hidden_states: ``[B, T, D]``, the state that each location came from; read only with ``reads_state``.
          training: Whether the model trains.

        Returns:
          ``[B, K]`` float32.
        """
        return self.answer(crops, hidden_states, training=training).logits

    def answer(
        self,
        crops: tf.Tensor,
        hidden_states: tf.Tensor | None = None,
        *,
        training: bool = False,
        weights: tf.Tensor | None = None,
        without_each: bool = False,
    ) -> LookAnswers:
        """Logits, and what each look contributes to them.

        Args:
          crops: As :meth:`call` takes them.
          hidden_states: As :meth:`call` takes them.
          training: Whether the model trains.
          weights: ``[B, T]`` float32, multiply what each look contributes; None for ones.
          without_each: Whether to give the logits without each look too; no crop is read twice for them.

        Returns:
          The answers.
        """
        length = crops.shape[1] or tf.shape(crops)[1]
        x = tf.reshape(crops, tf.concat([[-1], tf.shape(crops)[2:]], axis=0))  # [B·L, S, S, C]
        x = tf.ensure_shape(x, [None, *crops.shape[2:]])
        blank = self.look_pooling == "evidence"
        if blank:
            x = tf.concat([x, tf.zeros_like(x[:1])], axis=0)
        x = self.encoder(x, training=training)  # [B·L (+ 1), F]
        if self.reads_state and hidden_states is not None:
            states = tf.repeat(tf.reshape(hidden_states, [-1, hidden_states.shape[-1]]), self.num_scales, axis=0)
            states = tf.cast(states, x.dtype)
            if blank:  # a blank crop is read beside each state
                x = tf.concat([x[:-1], tf.repeat(x[-1:], tf.shape(states)[0], axis=0)], axis=0)
                states = tf.concat([states, states], axis=0)
            x = tf.concat([x, states], axis=-1)
        x = self.crop_head(self.dropout(x, training=training), training=training)
        if self.look_pooling == "mean":
            return self._mean(tf.reshape(x, [-1, length, self.crop_units]), weights, without_each)
        nats = tf.cast(self.logits(x), tf.float32)
        if blank:
            number = tf.shape(crops)[0] * length
            nats = nats[:number] - nats[number:]
        nats = tf.reshape(nats, [-1, length, self.num_classes])
        pool = {"evidence": self._sum, "seen": self._seen, "count": self._count}[self.look_pooling]
        return pool(nats, weights, without_each)

    def _by_look(self, x: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        """``[B, L, ·]`` → ``[B, T, M, ·]``, weighted."""
        steps = x.shape[1] // self.num_scales if x.shape[1] else tf.shape(x)[1] // self.num_scales
        x = tf.reshape(x, [-1, steps, self.num_scales, x.shape[-1]])
        return x if weights is None else x * tf.cast(weights, x.dtype)[..., tf.newaxis, tf.newaxis]

    def _mean(self, x: tf.Tensor, weights: tf.Tensor | None, without_each: bool) -> LookAnswers:
        looks = tf.reduce_mean(self._by_look(x, weights), axis=2)  # [B, T, F]
        logits = self._head(tf.reduce_mean(looks, axis=1))
        if not without_each:
            return LookAnswers(logits, None, None)
        others = tf.cast(tf.maximum(tf.shape(looks)[1] - 1, 1), looks.dtype)
        rest = (tf.reduce_sum(looks, axis=1, keepdims=True) - looks) / others  # [B, T, F]
        return LookAnswers(logits, None, self._head(rest))

    def _head(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.logits(self.hidden(x)), tf.float32)

    def _sum(self, nats: tf.Tensor, weights: tf.Tensor | None, without_each: bool) -> LookAnswers:
        looks = tf.reduce_sum(self._by_look(nats, weights), axis=2)  # [B, T, K]
        logits = tf.reduce_sum(looks, axis=1)
        return LookAnswers(logits, nats, logits[:, tf.newaxis] - looks if without_each else None)

    def _seen(self, nats: tf.Tensor, weights: tf.Tensor | None, without_each: bool) -> LookAnswers:
        odds = nats - nats[..., self.none_class : self.none_class + 1]
        looks = tf.reduce_logsumexp(self._by_look(odds, weights), axis=2)  # [B, T, K]
        others = 1.0 - tf.one_hot(
            self.none_class, self.num_classes
        )  # the class of nothing seen has no log odds against itself
        logits = self.bias + others * tf.reduce_logsumexp(looks, axis=1)
        if not without_each:
            return LookAnswers(logits, odds, None)
        steps = tf.shape(looks)[1]
        itself = tf.eye(steps, dtype=tf.bool)[tf.newaxis, :, :, tf.newaxis]
        rest = tf.reduce_logsumexp(tf.where(itself, NOTHING_SEEN, looks[:, tf.newaxis]), axis=2)  # [B, T, K]
        return LookAnswers(logits, odds, self.bias + others * rest)

    def _count(self, nats: tf.Tensor, weights: tf.Tensor | None, without_each: bool) -> LookAnswers:
        check_counting(self.look_pooling, self.num_scales, weighted=weights is not None)
        things = tf.range(self.num_classes, dtype=tf.float32)
        looks = tf.nn.log_softmax(nats + self.bias - NATS_PER_THING * things)  # [B, T, K]
        logits, without = sums(looks)
        evidence = logits[:, tf.newaxis] - without
        shows = 1.0 - tf.exp(looks[..., 0])
        return LookAnswers(logits, evidence, without if without_each else None, shows)

    def compute_output_shape(
        self, crops_shape: tuple[int | None, ...], hidden_states_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        """Static shape of the output."""
        return (crops_shape[0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        dense = ("num_classes", "crop_units", "head_units", "normalization")
        names = (*dense, "reads_state", "look_pooling", "none_class", "num_scales", "initial_evidence")
        encoder = keras.saving.serialize_keras_object(self.encoder)
        own = {"encoder": encoder, "dropout": self.dropout.rate}
        return {**super().get_config(), **own, **{name: getattr(self, name) for name in names}}
