"""Megapixel MNIST as framed pyramids and records, ready to train on: a few milliseconds per image, whatever its size.

    python -m tfvs.datasets.megapixel_pyramids --output DIR --train 5000 --test 1000 --proxy-px 180

Pixels and labels are those of :mod:`tfvs.datasets.megapixel_mnist`. ``DIR/pyramids`` holds one pyramid per image,
without its blank tiles; ``DIR/records`` holds TFRecords of 100 Examples each: a proxy and the pyramid's tile index.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tensorflow as tf
from tqdm import tqdm

from tfvs.config import option, option_like, require
from tfvs.data.example import to_example
from tfvs.data.layout import MANIFEST, PYRAMIDS, RECORDS
from tfvs.data.records import ImageRecord
from tfvs.datasets.canvases import dataset_command
from tfvs.datasets.digits import digits_fingerprint
from tfvs.datasets.megapixel_mnist import MegapixelConfig, draw
from tfvs.datasets.writing import DESCRIPTION, other_configuration
from tfvs.errors import DataError
from tfvs.images import reading
from tfvs.images.proxy import ProxyRecipe, encode_png, level_for_proxy, make_proxy
from tfvs.images.tiff.pyramid import PyramidOptions
from tfvs.images.tiff.sparse import COMPRESSIONS, SparseImage, write_sparse_pyramid

SHARD_IMAGES = 100


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
    overwrite: bool = False,
) -> Path:
    """Writes pyramids and records; goes on where it was stopped, and does nothing where as many or more are there.

    Args:
      output: Folder, made where missing.
      config: Configuration of the canvases and pyramids.
      counts: Images per split.
      overwrite: Whether to replace a data set of another description.

    Returns:
      Path of the description.

    Raises:
      DataError: The folder holds another data set.
    """
    folder, description = Path(output), config.description()
    _check_folder(folder, description, overwrite)
    manifest = {
        "class_names": list(config.class_names),
        "proxy": config.recipe.to_dict(),
        "images": {"dtype": "uint8", "max_side_px": None, "conversion": []},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    with tqdm(total=sum(counts.values()), unit="image", desc=folder.name, file=sys.stderr, mininterval=5.0) as progress:
        for split, count in counts.items():
            (folder / PYRAMIDS / split).mkdir(parents=True, exist_ok=True)
            (folder / RECORDS).mkdir(parents=True, exist_ok=True)
            for path, indices in _shards(folder, split, count):
                if not path.exists():
                    for other in path.parent.glob(f"{split}-{indices[0]:06d}-*.tfrecord"):
                        other.unlink()
                    _write_shard(path, folder, config, split, indices)
                progress.update(len(indices))
    return folder / DESCRIPTION


def record_files(output: str | os.PathLike[str], split: str, count: int) -> list[str]:
    """The record files of the first ``count`` images of a split.

    Raises:
      DataError: They are not all there, or end in the middle of a file.
    """
    found, total = [], 0
    for path in sorted((Path(output) / RECORDS).glob(f"{split}-*.tfrecord")):
        if total >= count:
            break
        first, last = path.stem.split("-")[1:]
        total += int(last) - int(first) + 1
        found.append(str(path))
    if total != count or not found:
        raise DataError(
            f"There are no record files of {count} images of the split {split}",
            expected=f"a multiple of {SHARD_IMAGES}, or all images",
            received=f"{total} images in {len(found)} files under {output}",
            mend="Run python -m tfvs.datasets.megapixel_pyramids",
        )
    return found


def _shards(folder: Path, split: str, count: int) -> Iterator[tuple[Path, range]]:
    for first in range(0, count, SHARD_IMAGES):
        indices = range(first, min(first + SHARD_IMAGES, count))
        yield folder / RECORDS / f"{split}-{first:06d}-{indices[-1]:06d}.tfrecord", indices


def _check_folder(folder: Path, description: dict, overwrite: bool) -> None:
    path = folder / DESCRIPTION
    text = json.dumps(description, indent=2, sort_keys=True) + "\n"
    if path.exists() and path.read_text() != text:
        if not overwrite:
            raise other_configuration(description, path.read_text())
        for stale in (folder / RECORDS).glob("*.tfrecord"):
            stale.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _write_shard(path: Path, folder: Path, config: MegapixelPyramidConfig, split: str, indices: range) -> None:
    part = path.with_name(f".{path.name}.part")
    with tf.io.TFRecordWriter(str(part)) as writer:
        for index in indices:
            record = _make_record(folder / PYRAMIDS, config, split, index)
            writer.write(to_example(record).SerializeToString())
    os.replace(part, path)


def _make_record(root: Path, config: MegapixelPyramidConfig, split: str, index: int) -> ImageRecord:
    """Writes the pyramid of an image; its record."""
    drawing = draw(config, split, index)
    image = SparseImage.from_patches(config.height, config.width, config.tile_size, drawing.patches, drawing.corners)
    levels = image.levels()
    uri = f"{split}/{index:06d}.tif"
    tile_index = write_sparse_pyramid(image, root / uri, compression=config.compression, levels=levels)
    source = hashlib.sha256(drawing.corners.tobytes() + drawing.patches.tobytes())
    return ImageRecord(
        image_id=f"{split}-{index:06d}",
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
