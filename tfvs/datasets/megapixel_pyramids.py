"""Megapixel MNIST as framed pyramids and records, ready to train on: a few milliseconds per image, whatever its size.

    python -m tfvs.datasets.megapixel_pyramids --output DIR --train 5000 --test 1000 --proxy-px 180

Pixels and labels are those of :mod:`tfvs.datasets.megapixel_mnist`. ``DIR/pyramids`` holds one pyramid per image,
without its blank tiles; see :mod:`tfvs.datasets.pyramid_records`.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from tfvs.config import option, option_like, require
from tfvs.data.records import ImageRecord
from tfvs.datasets.canvases import dataset_command
from tfvs.datasets.digits import digits_fingerprint
from tfvs.datasets.megapixel_mnist import MegapixelConfig, draw
from tfvs.datasets.pyramid_records import image_id, pyramid_uri, write_records
from tfvs.images import reading
from tfvs.images.proxy import ProxyRecipe, encode_png, level_for_proxy, make_proxy
from tfvs.images.tiff.pyramid import PyramidOptions
from tfvs.images.tiff.sparse import COMPRESSIONS, SparseImage, write_sparse_pyramid


@dataclass(frozen=True)
class MegapixelPyramidConfig(MegapixelConfig):
    """What the canvases look like, and how they are kept."""

    proxy_px: int = option(180, "Side of the proxies, pixels.", at_least=1)
    tile_size: int = option_like(PyramidOptions, "tile_size", 64)
    compression: str = option("deflate", "Compression of the pyramids' tiles.", choices=tuple(sorted(COMPRESSIONS)))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.proxy_px <= min(self.height, self.width),
            "The proxy is larger than the canvas",
            expected=f"proxy_px at most {min(self.height, self.width)}",
            received=self.proxy_px,
        )

    @property
    def recipe(self) -> ProxyRecipe:
        """Recipe of the proxies."""
        return ProxyRecipe(height=self.proxy_px, width=self.proxy_px)

    def description(self) -> dict[str, Any]:
        """What the images, pyramids and proxies depend on."""
        fields = self.to_dict()
        kept = {name: fields.pop(name) for name in ("proxy_px", "tile_size", "compression")}
        return {self.name: fields, **kept, "digits_sha256": digits_fingerprint(fields.pop("digits"))}


def write(
    output: str | os.PathLike[str],
    config: MegapixelPyramidConfig,
    counts: Mapping[str, int],
    *,
    workers: int = 1,
    overwrite: bool = False,
) -> Path:
    """Writes pyramids and records; goes on where it was stopped, and does nothing where as many or more are there.

    Args:
      output: Folder, made where missing.
      config: Configuration of the canvases and pyramids.
      counts: Images per split.
      workers: Processes that write them.
      overwrite: Whether to replace a data set of another description.

    Returns:
      Path of the description.

    Raises:
      DataError: The folder holds another data set.
    """
    return write_records(
        output,
        counts,
        functools.partial(_make_record, config),
        description=config.description(),
        proxy=config.recipe,
        class_names=config.class_names,
        workers=workers,
        overwrite=overwrite,
    )


def _make_record(config: MegapixelPyramidConfig, root: Path, split: str, index: int) -> ImageRecord:
    """Writes the pyramid of an image; its record."""
    drawing = draw(config, split, index)
    image = SparseImage.from_patches(config.height, config.width, config.tile_size, drawing.patches, drawing.corners)
    levels = image.levels()
    uri = pyramid_uri(split, index)
    tile_index = write_sparse_pyramid(image, root / uri, compression=config.compression, levels=levels)
    source = hashlib.sha256(drawing.corners.tobytes() + drawing.patches.tobytes())
    return ImageRecord(
        image_id=image_id(split, index),
        label=drawing.label,
        sha256=source.hexdigest(),
        proxy=_make_proxy(levels, config.recipe),
        pyramid_uri=uri,
        index=tile_index,
    )


def _make_proxy(levels: list[SparseImage], recipe: ProxyRecipe) -> bytes:
    """PNG, from the coarsest level that is large enough: what the recipe makes of the whole image."""
    level = levels[level_for_proxy([(level.width, level.height) for level in levels], recipe)]
    pixels: np.ndarray = level.dense()
    return encode_png(make_proxy(reading.normalize(pyvips.Image.new_from_array(pixels)), recipe))


@dataset_command(MegapixelPyramidConfig, train=5000, evaluation=0, test=1000)
def main(output: str, config: MegapixelPyramidConfig, counts: dict[str, int], overwrite: bool) -> Path:
    """Writes Megapixel MNIST as pyramids and records. Goes on where it was stopped."""
    return write(output, config, counts, overwrite=overwrite)


if __name__ == "__main__":
    main()
