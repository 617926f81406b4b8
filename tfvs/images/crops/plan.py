"""Which tiles a batch of crops needs, worked out in the graph from the tile indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfvs.data import example
from tfvs.data.records import LEVEL_FIELDS
from tfvs.images.crops.source import COMPRESSIONS, DTYPES, JPEG_BANDS, TileRequests
from tfvs.images.tiff.tile_index import MAX_FOREIGN_BYTES, MAX_TILE_SIDE
from tfvs.ops.crop_rule import MAX_PITCH, Taps, choose_level, pitches, taps
from tfvs.ops.jpeg_markers import holds_tables_alone
from tfvs.ops.tiles import TileSpan, tile_span

JPEG = COMPRESSIONS.index("jpeg")
MAX_TILE_BYTES = 64 << 20
MAX_SIDE = 1 << 24  # beyond it float32 cannot tell pixels apart


class TilePlan(NamedTuple):
    """What to read, and where each crop finds it.

    Attributes:
      requests: The tiles to read.
      requested: ``[U]`` int64, their numbers ``image · N + tile``, ascending.
      rows: ``[B, T, 2, S]`` neighbours along the vertical axis.
      columns: As ``rows``, horizontal.
      tile_ids: ``[B, T, GH, GW]`` int64 numbers of the tiles of each crop's grid, -1 where there is none.
      down: Pixels and tiles along the vertical axis, ``[B, T]`` each.
      across: As ``down``, horizontal.
      tile_size: ``[B, T, 2]`` int32, height and width; 1 of images that are not valid.
      deep: ``[B]`` bool, whether the image has 16 bits.
      valid: ``[B]`` bool, whether the index makes sense.
    """

    requests: TileRequests
    requested: tf.Tensor
    rows: Taps
    columns: Taps
    tile_ids: tf.Tensor
    down: TileSpan
    across: TileSpan
    tile_size: tf.Tensor
    deep: tf.Tensor
    valid: tf.Tensor


def make_plan(
    features: Mapping[str, tf.Tensor],
    boxes: tf.Tensor,
    crop_size: int,
    paths: tf.Tensor,
    bands: int,
    margin_px: int,
    max_level: int | None = None,
) -> TilePlan:
    """Chooses levels and lists the tiles, each once.

    Args:
      features: As :func:`tfvs.data.example.parse_examples` returns them.
      boxes: ``[B, T, 4]`` float32.
      crop_size: Side of the crops, pixels.
      paths: ``[B]`` string, empty where the path is refused.
      bands: Channels.
      margin_px: See :func:`tfvs.ops.crop_rule.taps`.
      max_level: See :func:`tfvs.ops.crop_rule.choose_level`.

    Returns:
      The plan. Work and memory grow with the tiles needed, not with the number of tiles in the image.
    """
    levels = tf.cast(features[example.PYRAMID_LEVELS], tf.int64)
    batch, fields = tf.shape(levels)[0], LEVEL_FIELDS
    whole = tf.shape(levels)[1] // fields
    levels = tf.pad(levels[:, : whole * fields], [[0, 0], [0, fields]])  # a level of zeros ends every list
    levels = tf.reshape(levels, [batch, whole + 1, fields])  # [B, L, 5]: width, height, tile width and height, first
    offsets = tf.cast(features[example.PYRAMID_TILE_OFFSETS], tf.int64)
    lengths = tf.cast(features[example.PYRAMID_TILE_BYTES], tf.int64)
    compression = _code(features[example.PYRAMID_COMPRESSION], COMPRESSIONS)
    dtype = _code(features[example.PYRAMID_DTYPE], DTYPES)
    framed = features[example.PYRAMID_FRAMED] == 1
    valid = _index_is_sound(features, levels, tf.shape(offsets, tf.int64)[1], bands) & (paths != "")
    valid &= (compression >= 0) & (dtype >= 0) & ((compression < JPEG) | ((dtype == 0) & (bands in JPEG_BANDS)))
    # The tables come with the request and go in front of every tile: an image among them may cost anything.
    valid &= holds_tables_alone(features[example.PYRAMID_JPEG_TABLES])
    valid &= tf.reduce_all(tf.math.is_finite(boxes), axis=[1, 2])
    boxes = tf.where(valid[:, tf.newaxis, tf.newaxis], boxes, tf.constant([0.0, 0.0, 0.5, 0.5]))

    sizes = levels[..., 1::-1]  # [B, L, 2] height, width
    level = choose_level(boxes, sizes, crop_size, max_level)  # [B, T]
    pitch = tf.gather(pitches(boxes, sizes, crop_size), level, batch_dims=2)
    valid &= tf.reduce_all(pitch <= MAX_PITCH, axis=1)
    # An index may leave its finest levels out, but not one that a crop needs, nor where levels are counted from the
    # finest. (== would forget the rank.)
    image_size = tf.cast(tf.stack([features[example.WIDTH], features[example.HEIGHT]], axis=-1), tf.int64)
    is_whole = tf.reduce_all(tf.equal(levels[:, 0, :2], image_size), axis=1)
    valid &= is_whole if max_level is not None else tf.reduce_all(pitch >= 1.0, axis=1) | is_whole
    chosen = tf.cast(tf.gather(levels, level, batch_dims=1), tf.int32)  # [B, T, 5]
    chosen = tf.where(valid[:, tf.newaxis, tf.newaxis], chosen, 1)
    width, height, tile_width, tile_height, first_tile = tf.unstack(chosen, axis=-1)
    rows = taps(boxes[..., 0], boxes[..., 2], height, crop_size, margin_px)
    columns = taps(boxes[..., 1], boxes[..., 3], width, crop_size, margin_px)
    down, across = tile_span(rows, tile_height), tile_span(columns, tile_width)

    # The grid of every crop, as large as the largest crop's: [B, T, GH, GW].
    used = valid[:, tf.newaxis]
    grid_rows = tf.range(tf.maximum(tf.reduce_max(tf.where(used, down.count, 0)), 1))
    grid_columns = tf.range(tf.maximum(tf.reduce_max(tf.where(used, across.count, 0)), 1))
    inside = (grid_rows < tf.where(used, down.count, 0)[..., tf.newaxis])[..., tf.newaxis]
    inside &= (grid_columns < across.count[..., tf.newaxis])[:, :, tf.newaxis]
    tiles_across = (width + tile_width - 1) // tile_width
    tile_row = (down.first[..., tf.newaxis] + grid_rows)[..., tf.newaxis]
    tile_column = (across.first[..., tf.newaxis] + grid_columns)[:, :, tf.newaxis]
    tile = first_tile[..., tf.newaxis, tf.newaxis] + tile_row * tiles_across[..., tf.newaxis, tf.newaxis] + tile_column
    # A tile that an unsound index does not list at all makes its image invalid.
    stride = tf.maximum(tf.shape(offsets, tf.int64)[1], 1)
    listed = tf.cast(tile, tf.int64) < stride
    valid &= tf.reduce_all(listed | ~inside, axis=[1, 2, 3])
    inside &= valid[:, tf.newaxis, tf.newaxis, tf.newaxis]
    image = tf.range(tf.cast(batch, tf.int64))[:, tf.newaxis, tf.newaxis, tf.newaxis]
    tile_ids = tf.where(inside, image * stride + tf.cast(tile, tf.int64), -1)

    windows = _windows(down, across, tile_row[..., 0], tile_column[:, :, 0], tile_height, tile_width)
    wanted, position, windows = _unique_sorted(tile_ids, inside, windows)
    place = tf.stack([wanted // stride, wanted % stride], axis=-1)
    length = tf.gather_nd(lengths, place)
    begin = tf.gather_nd(offsets, place)
    file_bytes = tf.cast(features[example.PYRAMID_FILE_BYTES], tf.int64)
    owner = tf.cast(place[:, 0], tf.int32)
    readable = (begin >= 0) & (length >= 0) & (length <= MAX_TILE_BYTES)
    readable &= (begin <= tf.gather(file_bytes, owner)) & (begin + length <= tf.gather(file_bytes, owner))
    valid &= _all_by_image(readable, owner, batch)
    take = tf.gather(valid, owner) & (length > 0)  # a tile of no bytes is one that a sparse file leaves out: zeros
    wanted, owner, position, windows = (tf.boolean_mask(x, take) for x in (wanted, owner, position, windows))
    tile_size = tf.where(valid[:, tf.newaxis, tf.newaxis], tf.stack([tile_height, tile_width], -1), 1)
    size = tf.gather(tf.reshape(tile_size, [-1, 2]), position)
    requests = TileRequests(
        image=owner,
        offset=tf.boolean_mask(begin, take),
        length=tf.boolean_mask(length, take),
        height=size[:, 0],
        width=size[:, 1],
        largest=tf.reduce_max(tf.concat([tf.reshape(tile_size, [-1, 2]), [[1, 1]]], 0), axis=0),
        window=windows,
        framed=tf.gather(framed, owner),
        compression=tf.gather(compression, owner),
        dtype=tf.gather(dtype, owner),
        paths=paths,
        file_bytes=file_bytes,
        file_crc32=tf.cast(features[example.PYRAMID_FILE_CRC32], tf.int64),
        jpeg_head=_jpeg_head(features[example.PYRAMID_JPEG_TABLES]),
    )
    return TilePlan(requests, wanted, rows, columns, tile_ids, down, across, tile_size, dtype > 0, valid)


def _windows(
    down: TileSpan, across: TileSpan, tile_row: tf.Tensor, tile_column: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """``[B, T, GH, GW, 4]`` int32: top, left, bottom and right pixel that a crop needs of each tile of its grid."""

    def along(axis: TileSpan, tile: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
        size = size[..., tf.newaxis]
        return [tf.clip_by_value(edge[..., tf.newaxis] - tile * size, 0, size - 1) for edge in (axis.low, axis.high)]

    (top, bottom), (left, right) = along(down, tile_row, height), along(across, tile_column, width)
    top, bottom = top[..., tf.newaxis], bottom[..., tf.newaxis]
    left, right = left[:, :, tf.newaxis], right[:, :, tf.newaxis]
    shape = tf.broadcast_dynamic_shape(tf.shape(top), tf.shape(left))
    return tf.stack([tf.broadcast_to(edge, shape) for edge in (top, left, bottom, right)], axis=-1)


def _unique_sorted(
    tile_ids: tf.Tensor, inside: tf.Tensor, windows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Distinct numbers, ascending; for each a crop ``b · T + t`` that needs it, and the window for all who do."""
    shape = tf.shape(tile_ids)
    flat = tf.boolean_mask(tile_ids, inside)
    crop = tf.broadcast_to(tf.reshape(tf.range(shape[0] * shape[1]), [shape[0], shape[1], 1, 1]), shape)
    order = tf.argsort(flat)
    flat, crop, windows = (tf.gather(x, order) for x in (flat, *(tf.boolean_mask(y, inside) for y in (crop, windows))))
    fresh = tf.concat([tf.ones_like(flat[:1], tf.bool), flat[1:] != flat[:-1]], 0)
    same = tf.cumsum(tf.cast(fresh, tf.int32)) - 1
    windows = tf.concat(
        [tf.math.segment_min(windows[:, :2], same), tf.math.segment_max(windows[:, 2:], same)], axis=1
    )  # [U, 4]
    return tf.boolean_mask(flat, fresh), tf.boolean_mask(crop, fresh), windows


def _all_by_image(good: tf.Tensor, owner: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    return tf.math.unsorted_segment_sum(tf.cast(~good, tf.int32), owner, batch) == 0


def _code(names: tf.Tensor, known: Sequence[str]) -> tf.Tensor:
    matches = tf.cast(names[:, tf.newaxis] == tf.constant(known), tf.int32)
    return tf.reduce_sum(matches * tf.range(1, len(known) + 1), axis=1) - 1


def _jpeg_head(tables: tf.Tensor) -> tf.Tensor:
    """JPEG tables without their end-of-image marker, which stand in place of a tile's start-of-image marker."""
    length = tf.strings.length(tables)
    head = tf.strings.substr(tables, tf.zeros_like(length), tf.maximum(length - 2, 0))
    return tf.where(length > 3, head, tf.constant(b"\xff\xd8"))


def _index_is_sound(features: Mapping[str, tf.Tensor], levels: tf.Tensor, tiles: tf.Tensor, bands: int) -> tf.Tensor:
    width, height, tile_width, tile_height, first = tf.unstack(levels, axis=-1)
    padding = tf.reduce_all(levels == 0, axis=-1)
    sound = (width >= 1) & (height >= 1) & (width <= MAX_SIDE) & (height <= MAX_SIDE)
    sound &= (tile_width >= 1) & (tile_height >= 1) & (tile_width <= MAX_TILE_SIDE) & (tile_height <= MAX_TILE_SIDE)
    across = (width + tile_width - 1) // tf.maximum(tile_width, 1)
    down = (height + tile_height - 1) // tf.maximum(tile_height, 1)
    sound &= (first >= 0) & (first + across * down <= tiles)
    finer = tf.concat([tf.fill([tf.shape(width)[0], 1], tf.constant(MAX_SIDE, tf.int64)), width[:, :-1]], 1)
    sound &= width <= finer
    file_bytes = tf.cast(features[example.PYRAMID_FILE_BYTES], tf.int64)
    framed = tf.cast(features[example.PYRAMID_FRAMED], tf.int64)
    return (
        tf.reduce_all(sound | padding, axis=1)
        & ~padding[:, 0]
        & (tf.cast(features[example.BANDS], tf.int64) == bands)
        & ((framed == 1) | ((framed == 0) & (file_bytes <= MAX_FOREIGN_BYTES) & (file_bytes > 0)))
    )
