"""Cells of a map drawn one after another without replacement, their exact probabilities and KL divergences."""

from __future__ import annotations

import tensorflow as tf

# Cells whose logits lie further below the largest one count as if they lay here: no sum over free cells is then zero.
LOG_RANGE = 60.0
NEVER = -1e30
SMALLEST_UNIFORM = 1e-9


def gumbel_noise(uniform: tf.Tensor) -> tf.Tensor:
    """Gumbel noise from uniform numbers.

    Args:
      uniform: ``[...]`` float32 in [0, 1).

    Returns:
      ``[...]`` float32, finite.
    """
    return -tf.math.log(-tf.math.log(tf.clip_by_value(uniform, SMALLEST_UNIFORM, 1.0 - 1e-7)))


def draw_cells(
    scores: tf.Tensor, cells: tuple[int, int], num_steps: int, inhibition: int, free: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The cell of the largest score among those that are free, again and again, with inhibition of return.

    With scores ``log q + Gumbel noise``, one noise for all steps, each cell is an exact draw from
    ``softmax(log q)`` over the cells still free (Plackett-Luce; Kool et al. 2019). Without noise it is the mode.

    Args:
      scores: ``[B, N]`` float32, N = rows · columns.
      cells: Rows and columns.
      num_steps: T.
      inhibition: Cells within this many rows and columns of a cell drawn are no longer free.
      free: ``[B, rows, columns]`` bool, those free at first; None for all.

    Returns:
      ``[B, T]`` int32 cells; ``[B, T, N]`` float32, 1 where a cell was free at that step; ``[B, rows, columns]`` bool,
      what is free afterwards. None of them has a gradient.
    """
    rows, columns = cells
    scores = tf.stop_gradient(scores)
    batch = tf.shape(scores)[0]
    row, column = tf.range(rows), tf.range(columns)
    if free is None:
        free = tf.ones([batch, rows, columns], tf.bool)
    drawn, masks = [], []
    for _ in range(num_steps):
        mask = tf.reshape(free, [batch, rows * columns])
        cell = tf.argmax(tf.where(mask, scores, NEVER), axis=-1, output_type=tf.int32)
        masks.append(mask)
        drawn.append(cell)
        near_row = tf.abs(row - (cell // columns)[:, tf.newaxis]) <= inhibition  # [B, rows]
        near_column = tf.abs(column - (cell % columns)[:, tf.newaxis]) <= inhibition
        free &= ~(near_row[:, :, tf.newaxis] & near_column[:, tf.newaxis, :])
    return tf.stack(drawn, axis=1), tf.cast(tf.stack(masks, axis=1), tf.float32), free


def log_prob_and_kl(
    log_q: tf.Tensor, log_p: tf.Tensor, cells: tf.Tensor, free: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Log-probability of each draw under q, and the divergence of q from p over the cells that were free then.

    Args:
      log_q: ``[B, N]`` float32, not normalised.
      log_p: As ``log_q``, of the prior.
      cells: ``[B, T]`` int32.
      free: ``[B, T, N]`` float32, as :func:`draw_cells` gives it.

    Returns:
      ``[B, T]`` log q(k_t | k_<t) and ``[B, T]`` KL( q(k_t | k_<t) ‖ p(k_t | k_<t) ), nats. Differentiable in log_q and
      log_p.
    """
    log_q, log_p = _shifted(log_q), _shifted(log_p)
    weight_q, weight_p = tf.exp(log_q), tf.exp(log_p)
    # Three sums over the free cells of every step, as one product of matrices.
    sums = free @ tf.stack([weight_q, weight_q * (log_q - log_p), weight_p], axis=-1)  # [B, T, 3]
    total_q, moment, total_p = tf.unstack(sums, axis=-1)
    log_total_q = tf.math.log(total_q)
    log_prob = tf.gather(log_q, cells, batch_dims=1) - log_total_q
    return log_prob, moment / total_q - log_total_q + tf.math.log(total_p)


def _shifted(logits: tf.Tensor) -> tf.Tensor:
    """Logits whose largest is 0 and whose least is above -LOG_RANGE."""
    shifted = logits - tf.stop_gradient(tf.reduce_max(logits, axis=-1, keepdims=True))
    return tf.maximum(shifted, -LOG_RANGE)
