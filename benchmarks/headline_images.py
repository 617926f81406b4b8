"""Images for the headline: the paper's canvases as pyramids, and sparse pyramids of any size for chosen places."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyvips
import tensorflow as tf

from benchmarks.headline_models import RECIPE
from tfvs.data.dataset import Inputs, evaluation_dataset, to_inputs
from tfvs.data.example import to_example
from tfvs.data.layout import PYRAMIDS
from tfvs.data.records import ImageRecord
from tfvs.datasets.digits import DIGIT_PX, digits_fingerprint, resize
from tfvs.datasets.pyramid_records import image_id, pyramid_uri, record_files, write_records
from tfvs.datasets.two_digit_mnist import TwoDigitConfig
from tfvs.images.proxy import ProxyRecipe, encode_png, proxy_from_pyramid
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.sparse import SparseImage, write_sparse_pyramid

SPLIT = "test"
CANVAS = 100
TILE = 256


def enlarged(side: int, digits: str) -> TwoDigitConfig:
    """Both digits among clutter as the authors make them large: the canvas of 100² enlarged to ``side``, pixels."""
    return TwoDigitConfig(digits=digits, canvas_sizes=((side, side),), digit_px=round(DIGIT_PX * side / CANVAS))


def write_canvases(
    folder: Path,
    config: TwoDigitConfig,
    counts: Mapping[str, int],
    recipe: ProxyRecipe = RECIPE,
    *,
    workers: int = 1,
    overwrite: bool = False,
) -> None:
    """Canvases as pyramids and records; see :func:`tfvs.datasets.pyramid_records.write_records`."""
    fields = config.to_dict()
    digits = digits_fingerprint(fields.pop("digits"))
    write_records(
        folder,
        counts,
        functools.partial(_make_record, config, recipe),
        description={**fields, "digits_sha256": digits, "proxy": recipe.to_dict()},
        proxy=recipe,
        class_names=config.class_names,
        workers=workers,
        overwrite=overwrite,
    )


def read_canvases(folder: Path, count: int, batch_size: int) -> list[tuple[Inputs, tf.Tensor]]:
    """Inputs of a saccader and labels, by batches."""
    dataset = evaluation_dataset(record_files(folder, SPLIT, count), RECIPE, batch_size=batch_size)
    return [(inputs, labels) for inputs, labels, _ in dataset]


def read_pixels(folder: Path, number: int) -> np.ndarray:
    """One of the canvases as its pyramid holds it, ``[1, H, W, 1]`` uint8."""
    path = folder / PYRAMIDS / pyramid_uri(SPLIT, number)
    return pyvips.Image.tiffload(str(path), revalidate=True).numpy()[np.newaxis, ..., np.newaxis]


def looked_at(root: Path, side: int, boxes: np.ndarray, digits: str) -> Inputs:
    """A sparse pyramid with something wherever a crop reads it, so that no tile of a crop is blank.

    Args:
      root: Folder that it is written to.
      side: Side of the image, pixels.
      boxes: ``[T, 4]`` where it will be looked at, each at most ``TILE`` pixels wide.
      digits: Digits of the canvases that lie there, enlarged to two tiles.

    Returns:
      Inputs of a saccader, without the proxy, for one image.
    """
    config = TwoDigitConfig(digits=digits)
    patch_px = min(2 * TILE, side)
    patches = np.stack([resize(config.canvas(SPLIT, number).image, patch_px) for number in range(len(boxes))])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * side
    corners = np.clip(np.rint(centres - patch_px / 2), 0, side - patch_px).astype(np.int64)
    path = root / f"sparse-{side}.tif"
    image = SparseImage.from_patches(side, side, TILE, patches, corners)
    index = write_sparse_pyramid(image, path, compression="deflate")
    blank = encode_png(np.zeros(RECIPE.shape, np.uint8))
    record = to_example(ImageRecord(path.stem, 0, "", blank, path.name, index)).SerializeToString()
    inputs, _ = to_inputs(tf.constant([record]), RECIPE)
    return inputs


def _make_record(config: TwoDigitConfig, recipe: ProxyRecipe, root: Path, split: str, index: int) -> ImageRecord:
    canvas = config.canvas(split, index)
    uri = pyramid_uri(split, index)
    tile_index = write_pyramid(pyvips.Image.new_from_array(canvas.image), root / uri)
    proxy = encode_png(proxy_from_pyramid(root / uri, tile_index, recipe))
    digest = hashlib.sha256(canvas.image.tobytes()).hexdigest()
    return ImageRecord(image_id(split, index), canvas.label, digest, proxy, uri, tile_index)
