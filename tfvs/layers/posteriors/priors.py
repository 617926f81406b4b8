"""Priors over places: p(k) over the cells of the proxy's map, before anything is learned about classes."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfvs.ops.grid import cell_means

PLACE_PRIORS = ("contrast", "isolated", "uniform", "surprise", "learned")
SMALLEST_MEAN = 1e-6
# An isolated thing: side of the square that is compared and the distance of those around it, in sides of the thing.
SQUARE, DISTANCE, DIRECTIONS = 0.7, 0.8, 12


def log_place_prior(
    kind: str,
    proxy: tf.Tensor,
    cells: tuple[int, int],
    *,
    power: float,
    floor: float,
    thing_scale: float | None = None,
    reconstruct: Callable[[], tf.Tensor],
) -> tf.Tensor:
    """log p(k), not normalised, from the proxy alone.

    ``log p(k) = power · log(v_k / mean v + floor)`` of a non-negative value of each cell, which is nowhere minus
    infinity, and uniform where nothing stands out. ``"contrast"``: v is the standard deviation of the proxy around the
    cell. ``"isolated"``: how far a square of the thing's size differs from all around it, see :func:`isolation`.
    ``"surprise"``: the root mean square of what the reconstruction leaves there. ``"uniform"`` and ``"learned"`` begin
    with equal probabilities; the posterior adds what is learned.

    Args:
      kind: One of ``PLACE_PRIORS``.
      proxy: ``[B, h, w, c]`` float32.
      cells: Rows and columns.
      power: 0 or more.
      floor: Above 0.
      thing_scale: Side of the thing, as a fraction of the proxy's shorter side; read by ``"isolated"`` alone.
      reconstruct: Gives a reconstruction ``[B, h, w, c]``; called for ``"surprise"`` alone.

    Returns:
      ``[B, rows, columns]`` float32, without a gradient.
    """
    if kind == "contrast":
        centred = proxy - tf.reduce_mean(proxy, axis=[1, 2], keepdims=True)  # float32 keeps faint contrast on bright
        values = local_contrast(centred, cells)
    elif kind == "isolated" and thing_scale is not None:
        side = thing_scale * min(proxy.shape[1], proxy.shape[2])
        values = cell_means(isolation(proxy, side)[..., tf.newaxis], cells)[..., 0]
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


def isolation(x: tf.Tensor, side: float) -> tf.Tensor:
    """How far a square of a thing's size stands out from what is around it, on all sides.

    The square's mean colour is compared with squares all around it. ``least · least / largest`` of the differences is
    large only where it differs on every side, and on all sides alike: an edge, a line and the inside of something large
    have squares like them on some side, however much they differ from others.

    Args:
      x: ``[B, h, w, c]`` float32.
      side: Of the thing, pixels.

    Returns:
      ``[B, h, w]`` float32, 0 or more.
    """
    square, distance = 2 * max(round((SQUARE * side - 1) / 2), 0) + 1, max(DISTANCE * side, 1.0)
    means = tf.nn.avg_pool2d(x, square, 1, "SAME") if square > 1 else x
    reach = math.ceil(distance)
    padded = tf.pad(means, [[0, 0], [reach] * 2, [reach] * 2, [0, 0]], "SYMMETRIC")
    differences = []
    for step in range(DIRECTIONS):
        angle = 2.0 * math.pi * step / DIRECTIONS
        top, left = (reach + round(distance * turned(angle)) for turned in (math.sin, math.cos))
        other = padded[:, top : top + x.shape[1], left : left + x.shape[2]]
        differences.append(tf.norm(means - other, axis=-1))
    least, largest = (reduce(differences, axis=0) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.square(least) / (largest + SMALLEST_MEAN)


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
