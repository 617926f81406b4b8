"""Crops of images of any size, read in the graph from the tiles that they touch and from no others.

Runs in ``tf.function``, in ``fit``, in TFMA and in a SavedModel without tfvs: only stock operations are used.
What is checked: the path (under a root), the index (sizes, offsets and lengths within the file), the records' CRC-32C
and length, the decoded size. Whatever fails makes its own image invalid, never the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfvs.data import example
from tfvs.errors import InputError
from tfvs.images.crops.cut import cut_crops
from tfvs.images.crops.plan import make_plan
from tfvs.images.crops.remote import are_remote, held_here
from tfvs.images.crops.source import read_tiles
from tfvs.ops.crop_rule import fill_outside
from tfvs.ops.tracing import as_written
from tfvs.ops.validity import where_valid


class TileCrops(NamedTuple):
    """Crops read from tiles.

    Attributes:
      crops: ``[B, T, S, S, C]`` float32 in [0, 1], zeros for invalid images. Differentiable in the boxes.
      valid: ``[B]`` bool, which images could be read.
      tiles_read: ``[B]`` int32, how many tiles were read.
    """

    crops: tf.Tensor
    valid: tf.Tensor
    tiles_read: tf.Tensor


@as_written
def read_crops(
    features: Mapping[str, tf.Tensor],
    boxes: tf.Tensor,
    crop_size: int,
    *,
    roots: Sequence[str] | tf.Tensor,
    bands: int,
    margin_px: int = 1,
    max_level: int | None = None,
    fill_value: float = 0.0,
) -> TileCrops:
    """Reads crops of a batch of pyramids.

    Each crop follows the rule of :mod:`tfvs.ops.crop_rule`. Every tile is read once, neighbours in one
    read. Images of a batch may differ in size, levels, tile size, compression and dtype.

    Args:
      features: Those of :data:`tfvs.data.example.PYRAMID_FEATURES`, as ``parse_examples`` returns them.
      boxes: ``[B, T, 4]`` float32.
      crop_size: Side S of the crops, pixels.
      roots: Folders that pyramids may lie under. A relative ``pyramid/uri`` is joined to the first; an absolute one
        must lie under one of them. ``..`` and other schemes are refused; symbolic links are followed. Those of
        ``s3://`` and ``gs://`` are read by :mod:`tfvs.images.crops.remote`.
      bands: Channels C; images with others are invalid.
      margin_px: See :func:`tfvs.ops.crop_rule.taps`.
      max_level: See :func:`tfvs.ops.crop_rule.choose_level`; an index that leaves levels out is then invalid.
      fill_value: See :func:`tfvs.ops.crop_rule.fill_outside`.

    Returns:
      The crops, which images are valid, and how many tiles were read.

    Raises:
      InputError: ``bands``, ``crop_size``, ``margin_px`` or ``max_level`` is out of range, no root is given, or a
        feature is missing.
    """
    _check_arguments(features, roots, crop_size, bands, margin_px, max_level)
    boxes = tf.convert_to_tensor(boxes, tf.float32)
    with tf.device("/CPU:0"):
        paths = resolve_uris(features[example.PYRAMID_URI], tf.convert_to_tensor(roots, tf.string))
        plan = make_plan(features, boxes, crop_size, paths, bands, margin_px, max_level)
        requests = held_here(plan.requests) if are_remote(roots) else plan.requests
        pixels, slots = read_tiles(requests, bands)
        batch = tf.shape(boxes)[0]
        owner = plan.requests.image
        failed = tf.math.unsorted_segment_sum(tf.cast(slots < 0, tf.int32), owner, batch)
        valid = plan.valid & (failed == 0)
        tiles_read = tf.math.unsorted_segment_sum(tf.ones_like(owner), owner, batch)
        crops = cut_crops(plan, pixels, slots, valid, bands, crop_size)
        if fill_value:
            crops = where_valid(valid, fill_outside(crops, plan.rows.weight, plan.columns.weight, fill_value))
    crops = tf.ensure_shape(crops, [boxes.shape[0], boxes.shape[1], crop_size, crop_size, bands])
    return TileCrops(crops, valid, tiles_read)


@as_written
def resolve_uris(uris: tf.Tensor, roots: tf.Tensor) -> tf.Tensor:
    """Paths that may be opened.

    Args:
      uris: ``[B]`` string.
      roots: ``[R]`` string.

    Returns:
      ``[B]`` string: empty where the path leaves every root, names another scheme or climbs with ``..``.
    """
    folders = tf.strings.regex_replace(roots, "/*$", "/")
    absolute = tf.strings.regex_full_match(uris, r"(?s)(/|[A-Za-z][A-Za-z0-9+.-]*:).*")
    start = tf.zeros_like(uris, tf.int32)
    under = tf.map_fn(
        lambda folder: tf.strings.substr(uris, start, start + tf.strings.length(folder)) == folder,
        folders,
        fn_output_signature=tf.bool,
    )  # [R, B]
    climbs = tf.strings.regex_full_match(uris, r"(?s)(.*[/\\])?\.\.([/\\].*)?|.*\x00.*|")
    paths = tf.where(absolute, uris, tf.strings.join([folders[0], uris]))
    return tf.where((absolute & ~tf.reduce_any(under, axis=0)) | climbs, "", paths)


def _check_arguments(
    features: Mapping[str, tf.Tensor],
    roots: Sequence[str] | tf.Tensor,
    crop_size: int,
    bands: int,
    margin_px: int,
    max_level: int | None,
) -> None:
    missing = [name for name in example.PYRAMID_FEATURES if name not in features]
    if missing:
        raise InputError("The tile index is incomplete", expected=example.PYRAMID_FEATURES, received=sorted(features))
    if not 1 <= bands <= 4 or crop_size < 1 or margin_px < 0 or (max_level is not None and max_level < 0):
        raise InputError(
            "The crops cannot be made",
            expected="1 to 4 bands, a crop_size of at least 1, a margin_px and a max_level of at least 0",
            received=f"bands={bands}, crop_size={crop_size}, margin_px={margin_px}, max_level={max_level}",
        )
    if isinstance(roots, str) or (not tf.is_tensor(roots) and len(roots) == 0):
        raise InputError(
            "Pyramids need a root folder",
            expected="a sequence of at least one folder",
            received=repr(roots),
            mend="Give the folder that pyramid/uri is relative to, for example roots=['/data/pyramids']",
        )
