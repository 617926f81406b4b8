"""Feature maps of a network joined on the grid of cells that looks are chosen from."""

from __future__ import annotations

import math

import tensorflow as tf

from tfvs.config import require


def join_on_grid(
    feature_maps: tf.Tensor | list[tf.Tensor], cells: tuple[int, int], image_size: tuple[int, int]
) -> tf.Tensor:
    """Feature maps of different strides as one map with a vector for each cell.

    Coarser maps are interpolated between the places that their units look at, finer ones averaged over the cell.
    Networks pad an image at its end where its side is no multiple of the stride; the part that lies behind the image is
    left out. Convolutions of stride 2 with TensorFlow's padding look half a pixel beside the middle of their cell.

    Args:
      feature_maps: One or more ``[N, h, w, F]``.
      cells: Rows and columns of the grid.
      image_size: Height and width of the image that the maps come from, pixels.

    Returns:
      ``[N, rows, columns, sum of F]``.

    Raises:
      ConfigError: A feature that is no map of known size.
    """
    joined = []
    for value in feature_maps if isinstance(feature_maps, list) else [feature_maps]:
        require(
            value.shape.rank == 4 and value.shape[1] is not None and value.shape[2] is not None,
            "Features of the proxy lie on a map",
            expected="[N, h, w, F], h and w known",
            received=tuple(value.shape),
            mend="Leave out the network's pooling, or name its feature maps",
        )
        rows, columns = (
            tf.cast(_resampling(value.shape[1 + axis], image_size[axis], cells[axis]), value.dtype) for axis in (0, 1)
        )
        joined.append(tf.einsum("rh,nhwf,cw->nrcf", rows, value, columns))
    return tf.concat(joined, axis=-1) if len(joined) > 1 else joined[0]


def _resampling(size: int, image_px: int, cells: int) -> tf.Tensor:
    """``[cells, size]`` weights, each row's sum 1."""
    halvings = math.ceil(math.log2(image_px / size)) if size < image_px else 0
    stride_px, shift_px = float(2**halvings), _shift_px(image_px, halvings)
    if -(-image_px // 2**halvings) != size:  # Not the map of a network that halves, and pads at the end.
        stride_px, shift_px = image_px / size, 0.0
    cell = image_px / cells / stride_px  # In cells of the map.
    centres = (tf.range(cells, dtype=tf.float32) + 0.5) * cell
    units = tf.range(size, dtype=tf.float32) + 0.5 + shift_px / stride_px
    weights = tf.nn.relu(1.0 - tf.abs(centres[:, tf.newaxis] - units) / max(cell, 1.0))
    # Where the image ends beyond the middle of its last unit.
    nearest = tf.one_hot(tf.argmin(tf.abs(centres[:, tf.newaxis] - units), axis=1), size)
    weights = tf.where(tf.reduce_sum(weights, axis=1, keepdims=True) > 0.0, weights, nearest)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)


def _shift_px(image_px: int, halvings: int) -> float:
    """How far behind the middle of its cell a unit looks: half a pixel at each convolution of stride 2, or before it.

    TensorFlow pads an even side at its end alone, so that the window of unit j has its middle at the second of the two
    pixels 2j and 2j + 1; an odd side is padded on both ends, and the middle is at the first.

    >>> _shift_px(200, 2), _shift_px(85, 1)
    (1.5, -0.5)
    """
    shift, side = 0.0, image_px
    for level in range(halvings):
        shift += 2**level * (0.5 if side % 2 == 0 else -0.5)
        side = -(-side // 2)
    return shift
