"""What the map of places reads of the proxy, and where looks may begin."""

from __future__ import annotations

import tensorflow as tf

from tfvs.backbones.encoder import ImageEncoder, join_on_grid
from tfvs.models.saccader_config import SaccaderConfig

# How much less likely cells outside the field of view are than the least likely one.
OUTSIDE_NATS = 40.0


def proxy_maps(
    proxy: tf.Tensor, config: SaccaderConfig, network: ImageEncoder | None, *, training: bool
) -> list[tf.Tensor]:
    """Feature maps that evidence for places is made of.

    Args:
      proxy: ``[B, h, w, c]`` float32.
      config: Configuration of the saccader, with cells.
      network: Gives further maps; None for none.
      training: Whether the model trains.

    Returns:
      The proxy's pixels, the network's maps on the grid of cells, each cell's row and column: what the configuration
      asks for.
    """
    cells = config.cells or (1, 1)
    maps = [proxy * config.proxy_gain] if config.map_reads_pixels else []
    if network is not None:
        features = network(proxy, training=training)
        maps.append(join_on_grid(features, cells, (proxy.shape[1], proxy.shape[2])))
    if config.map_reads_place:
        maps.append(tf.repeat(cell_places(cells), tf.shape(proxy)[0], axis=0))
    return maps


def cell_places(cells: tuple[int, int]) -> tf.Tensor:
    """Row and column of each cell in [-1, 1], ``[1, rows, columns, 2]`` float32."""
    rows, columns = (tf.linspace(-1.0, 1.0, number) for number in cells)
    return tf.stack(tf.meshgrid(rows, columns, indexing="ij"), axis=-1)[tf.newaxis]


def within_field(log_prior: tf.Tensor, field_of_view: tf.Tensor) -> tf.Tensor:
    """The prior over cells, as good as zero where a cell's middle lies outside the field.

    Args:
      log_prior: ``[B, rows, columns]`` float32.
      field_of_view: ``[B, 4]`` float32 boxes.

    Returns:
      As ``log_prior``. Where the field has fewer cells than there are looks, the others are still there.
    """
    inside = []
    for axis in (0, 1):
        cells = log_prior.shape[1 + axis]
        middle = (tf.range(cells, dtype=tf.float32) + 0.5) / float(cells)
        inside.append((middle > field_of_view[:, axis, tf.newaxis]) & (middle < field_of_view[:, axis + 2, tf.newaxis]))
    seen = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis, :]
    return tf.where(seen, log_prior, tf.reduce_min(log_prior, axis=[1, 2], keepdims=True) - OUTSIDE_NATS)
