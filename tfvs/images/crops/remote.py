"""Tiles of images in object storage, brought to this machine before the graph reads them.

Looks do not depend on what earlier crops showed, so all tiles of a batch are known at once and are asked for together:
one round trip. It takes Python, so it is part of training, evaluation and prediction in this process, never of an
export.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfvs.errors import ResourceError
from tfvs.images.crops.source import TileRequests
from tfvs.paths import scheme
from tfvs.storage.objects import EXTRAS
from tfvs.storage.tiles import Tile, Wanted, tile_cache

_stopped: list[ResourceError] = []  # what a batch ended with, which TensorFlow passes on as a text of many lines


def are_remote(roots: Sequence[str] | tf.Tensor) -> bool:
    """Whether images may lie in object storage; folders that only a graph knows are for stock operations."""
    return not tf.is_tensor(roots) and any(scheme(str(root)) in EXTRAS for root in roots)


def held_here(requests: TileRequests) -> TileRequests:
    """The same requests with paths of this machine, where all the tiles are by then.

    Args:
      requests: With paths and URIs; an image that cannot be read gets no path.
    """
    paths = tf.numpy_function(
        _hold,
        [requests.paths, requests.file_bytes, requests.image, requests.offset, requests.length, requests.framed],
        tf.string,
    )
    return requests._replace(paths=tf.ensure_shape(paths, requests.paths.shape))


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """What the storage refused, as its own sentence instead of TensorFlow's.

    Raises:
      ResourceError: The storage refused, or tiles cannot be kept here.
    """
    _stopped.clear()
    try:
        yield
    except tf.errors.OpError:
        if _stopped:
            raise _stopped[0] from None
        raise


def _hold(
    paths: np.ndarray,
    file_bytes: np.ndarray,
    image: np.ndarray,
    offset: np.ndarray,
    length: np.ndarray,
    framed: np.ndarray,
) -> np.ndarray:
    wanted = [
        Wanted(path.decode("utf-8", "surrogateescape"), size)
        for path, size in zip(paths, file_bytes.tolist(), strict=True)
    ]
    for number, start, count, has_frame in zip(
        image.tolist(), offset.tolist(), length.tolist(), framed.tolist(), strict=True
    ):
        if has_frame:
            wanted[number].tiles.append(Tile(start, count))
    used = sorted(set(image.tolist()))
    try:
        held = tile_cache().hold([wanted[number] for number in used])
    except ResourceError as error:
        _stopped.append(error)
        raise
    found = np.full(paths.shape, b"", object)
    for number, path in zip(used, held, strict=True):
        found[number] = path.encode("utf-8", "surrogateescape")
    return found
