"""Every way in which this project reads a file, each giving pixels ``[H, W, C]`` or an error with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
import tifffile

from tests.corpus.case import SIDE, Case
from tests.images.pyramids import features_of
from tfvs.data.records import TileIndex
from tfvs.errors import TfvsError
from tfvs.images.crops.reader import read_crops
from tfvs.images.crops.vips_reader import VipsReader
from tfvs.images.proxy import ProxyRecipe
from tfvs.images.reading import read_array
from tfvs.images.tiff.tile_index import read_index
from tfvs.preparation.decode import Decoded, Task, decode
from tfvs.preparation.options import PrepareOptions

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), compression="none", tile_size=32, max_pixels=10**8)
WHOLE = np.array([[0.0, 0.0, 1.0, 1.0]], np.float32)
Answer = np.ndarray | str


def prepared(case: Case, path: Path, target: Path, **more: object) -> tuple[Decoded | None, Answer]:
    """By preparation; the pyramid's finest level as tifffile reads it."""
    target.parent.mkdir(exist_ok=True)
    done = decode(Task(str(path), None, str(target), OPTIONS.replace(**{**case.options, **more}), "00"))
    if not isinstance(done, Decoded):
        return None, done.reason
    with tifffile.TiffFile(target) as tiff:
        pixels = tiff.pages[0].asarray()
    return done, pixels.reshape(done.index.height, done.index.width, -1)


def as_array(path: Path) -> Answer:
    """By the library, whole."""
    try:
        return read_array(path)
    except TfvsError as error:
        return str(error)


def by_vips(path: Path) -> Answer:
    """By the client's reader of crops."""
    try:
        crops = VipsReader(SIDE).read_crops(path, WHOLE)[0]
    except TfvsError as error:
        return str(error)
    return in_levels(crops, read_index(path))


def indexed(path: Path) -> TileIndex | str:
    """The tile index of the file as it is."""
    try:
        return read_index(path)
    except TfvsError as error:
        return str(error)


def in_graph(entries: list[tuple[str, TileIndex]], root: Path) -> list[Answer]:
    """By the reader in the graph, all in one batch; of one number of bands."""
    if not entries:
        return []
    bands = entries[0][1].bands
    boxes = tf.constant(np.repeat(WHOLE[np.newaxis], len(entries), axis=0))
    crops, valid, *_ = read_crops(features_of(*entries), boxes, SIDE, roots=[str(root)], bands=bands)
    return [
        in_levels(crop[0].numpy(), index) if right else "not valid"
        for crop, right, (_, index) in zip(crops, valid.numpy(), entries, strict=True)
    ]


def in_levels(crop: np.ndarray, index: TileIndex) -> np.ndarray:
    """A crop in [0, 1] as grey levels of the image's own depth."""
    if index.dtype == "uint8":
        return np.rint(crop * 255).astype(np.uint8)
    return np.rint(crop * 65535).astype(np.uint16)
