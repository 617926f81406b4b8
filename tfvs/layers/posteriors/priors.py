"""Priors over places: p(k) over the cells of the proxy's map, before anything is learned about classes."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfvs.ops.grid import cell_means

PLACE_PRIORS = ("contrast", "uniform", "surprise", "learned")
SMALLEST_MEAN = 1e-6


def log_place_prior(
    kind: str,
    proxy: tf.Tensor,
    cells: tuple[int, int],
    *,
    power: float,
    floor: float,
    reconstruct: Callable[[], tf.Tensor],
) -> tf.Tensor:
    """log p(k), not normalised, from the proxy alone.

    ``log p(k) = power · log(v_k / mean v + floor)`` of a non-negative value of each cell, which is nowhere minus
    infinity, and uniform where nothing stands out. ``"contrast"``: v is the standard deviation of the proxy around the
    cell. ``"surprise"``: the root mean square of what the reconstruction leaves there. ``"uniform"`` and ``"learned"``
    begin with equal probabilities; the posterior adds what is learned.

    Args:
      kind: One of ``PLACE_PRIORS``.
      proxy: ``[B, h, w, c]`` float32.
      cells: Rows and columns.
      power: 0 or more.
      floor: Above 0.
      reconstruct: Gives a reconstruction ``[B, h, w, c]``; called for ``"surprise"`` alone.

    Returns:
      ``[B, rows, columns]`` float32, without a gradient.
    """
    if kind == "contrast":
        centred = proxy - tf.reduce_mean(proxy, axis=[1, 2], keepdims=True)  # float32 keeps faint contrast on bright
        values = local_contrast(centred, cells)
    elif kind == "surprise":
        values = tf.sqrt(around(cell_means(tf.square(proxy - reconstruct()), cells)))
        values = tf.sqrt(tf.reduce_sum(tf.square(values), axis=-1))
    else:
        return tf.zeros([tf.shape(proxy)[0], *cells])
    share = values / (tf.reduce_mean(values, axis=[1, 2], keepdims=True) + SMALLEST_MEAN)
    return tf.stop_gradient(power * tf.math.log(share + floor))


def local_contrast(x: tf.Tensor, cells: tuple[int, int]) -> tf.Tensor:
    """Standard deviation in a window of two cells around each cell, all channels together.

    Args:
      x: ``[B, h, w, c]`` float32.
      cells: Rows and columns.

    Returns:
      ``[B, rows, columns]`` float32.
    """
    mean, square = around(cell_means(x, cells)), around(cell_means(tf.square(x), cells))
    return tf.sqrt(tf.reduce_sum(tf.nn.relu(square - tf.square(mean)), axis=-1))


def around(x: tf.Tensor) -> tf.Tensor:
    """Means over a window of two cells: the cell itself and half of each neighbour, ``[B, rows, columns, c]``."""
    for axis in (1, 2):
        padding = [[0, 0]] * 4
        padding[axis] = [1, 1]
        padded = tf.pad(x, padding, "SYMMETRIC")
        size = x.shape[axis]
        before, itself, behind = (tf.gather(padded, tf.range(i, i + size), axis=axis) for i in range(3))
        x = 0.25 * before + 0.5 * itself + 0.25 * behind
    return x
