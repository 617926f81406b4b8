"""The saccader's map of places: what it reads of the proxy, its prior over cells, and what the choice learns from."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfvs.backbones.encoder import ImageEncoder
from tfvs.backbones.grid import join_on_grid
from tfvs.layers.posteriors.priors import log_place_prior
from tfvs.losses import place_surrogate
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.models.saccader_output import SaccaderOutput

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
        height, width = (network.enlargement * side for side in proxy.shape[1:3])
        maps.append(join_on_grid(features, cells, (height, width)))
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


def log_prior(
    proxy: tf.Tensor,
    config: SaccaderConfig,
    field_of_view: tf.Tensor | None,
    reconstruct: Callable[[], tf.Tensor],
) -> tf.Tensor:
    """log p(k) over cells as the configuration wants it, not normalised.

    Args:
      proxy: ``[B, h, w, c]`` float32.
      config: Configuration of the saccader, with cells.
      field_of_view: ``[B, 4]`` float32 boxes; None for all of the image.
      reconstruct: Gives a reconstruction ``[B, h, w, c]`` of the proxy; called only where the prior needs it.

    Returns:
      ``[B, rows, columns]`` float32.
    """
    found = log_place_prior(
        config.place_prior,
        proxy,
        config.cells or (1, 1),
        power=config.prior_power,
        floor=config.prior_floor,
        thing_scale=config.thing_scale,
        reconstruct=reconstruct,
    )
    return found if field_of_view is None else within_field(found, field_of_view)


def probabilities(place_logits: tf.Tensor) -> tf.Tensor:
    """``[B, rows, columns]`` logits → probabilities that sum to 1 over the map."""
    flat = tf.reshape(place_logits, [-1, place_logits.shape[1] * place_logits.shape[2]])
    return tf.reshape(tf.nn.softmax(flat), [-1, *place_logits.shape[1:]])


def choice_surrogate(
    config: SaccaderConfig, labels: tf.Tensor, outputs: SaccaderOutput, classification: tf.Tensor
) -> tf.Tensor:
    """Zero, with the gradient that the choice of cells adds to the loss; see :func:`tfvs.losses.place_surrogate`.

    Args:
      config: Configuration of the saccader.
      labels: ``[B]`` int32.
      outputs: What the model gave; without ``place_log_prob`` no cells were chosen, and there is no gradient.
      classification: ``[B]`` float32 nats, the loss of the class, not weighted.

    Returns:
      ``[B]`` float32 zeros.
    """
    if outputs.place_log_prob is None:
        return tf.zeros_like(classification)
    step_costs = config.kl_weight * outputs.kl
    if outputs.log_likelihood is not None:
        step_costs -= config.reconstruction_weight * outputs.log_likelihood
    without = None
    if outputs.logits_without is not None:
        repeated = tf.repeat(labels[:, tf.newaxis], outputs.logits_without.shape[1], axis=1)
        without = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=repeated, logits=outputs.logits_without)
        without *= config.classification_weight
    weighted = config.classification_weight * classification
    return place_surrogate(
        config.place_gradient,
        weighted,
        without,
        step_costs,
        outputs.place_log_prob,
        outputs.place_logit,
        outputs.shows,
    )
