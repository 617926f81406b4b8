"""Megapixel MNIST as framed pyramids and records, ready to train on: a few milliseconds per image, whatever its size.

    python -m tfvs.datasets.megapixel_pyramids --output DIR --train 5000 --test 1000 --side 1500 --proxy-px 180

Pixels and labels are those of :mod:`tfvs.datasets.megapixel_mnist`. ``DIR/pyramids`` holds one pyramid per image,
without its blank tiles; ``DIR/records`` holds TFRecords of 100 Examples each: a proxy and the pyramid's tile index.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pyvips
import tensorflow as tf
from tqdm import tqdm

from tfvs.data.example import to_example
from tfvs.data.records import MANIFEST, ImageRecord
from tfvs.datasets.canvases import dataset_command
from tfvs.datasets.digits import digits_fingerprint
from tfvs.datasets.megapixel_mnist import CLASS_NAMES, MegapixelConfig, draw
from tfvs.errors import ConfigError, DataError
from tfvs.images import reading
from tfvs.images.proxy import ProxyRecipe, encode_png, make_proxy
from tfvs.images.tiff.sparse import COMPRESSIONS, SparseImage, write_sparse_pyramid

DESCRIPTION = "dataset.json"
PYRAMIDS, RECORDS = "pyramids", "records"
SHARD_IMAGES = 100
TILE_PX = 64


def write(
    output: str | os.PathLike[str],
    config: MegapixelConfig,
    counts: dict[str, int],
    *,
    proxy_px: int,
    tile_size: int = TILE_PX,
    compression: str = "deflate",
    overwrite: bool = False,
) -> Path:
    """Writes pyramids and records; goes on where it was stopped, and does nothing where as many or more are there.

    Args:
      output: Folder, made where missing.
      config: Configuration of the canvases.
      counts: Images per split.
      proxy_px: Side of the proxies, pixels.
      tile_size: Side of the pyramids, pixels.
      compression: Compression of their tiles: ``"none"`` or ``"deflate"``.
      overwrite: Whether to replace a data set of another description.

    Returns:
      Path of the description.

    Raises:
      DataError: The folder holds another data set.
      ConfigError: The proxy has no pixel, or more than the canvas.
    """
    if not 1 <= proxy_px <= min(config.height, config.width):
        raise ConfigError("The proxy has another size", expected="1 px to the canvas's side", received=proxy_px)
    folder = Path(output)
    fields = {name: value for name, value in config.to_dict().items() if name != "digits"}
    description = {
        "megapixel_mnist": fields,
        "proxy_px": proxy_px,
        "tile_size": tile_size,
        "compression": compression,
        "digits_sha256": digits_fingerprint(config.digits),
    }
    _check_folder(folder, description, overwrite)
    manifest = {
        "class_names": list(CLASS_NAMES),
        "proxy": _recipe(proxy_px).to_dict(),
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
                    _write_shard(path, folder, config, split, indices, proxy_px, tile_size, compression)
                progress.update(len(indices))
    return folder / DESCRIPTION


def record_files(output: str | os.PathLike[str], split: str, count: int) -> list[str]:
    """The record files of the first ``count`` images of a split.

    Raises:
      DataError: They are not all there, or end amid a file.
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
            raise DataError(
                "The folder holds a data set of another configuration",
                expected=description,
                received=path.read_text(),
                mend="Choose another folder, or give --overwrite",
            )
        for stale in (folder / RECORDS).glob("*.tfrecord"):
            stale.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _write_shard(
    path: Path,
    folder: Path,
    config: MegapixelConfig,
    split: str,
    indices: range,
    proxy_px: int,
    tile_size: int,
    compression: str,
) -> None:
    part = path.with_name(f".{path.name}.part")
    with tf.io.TFRecordWriter(str(part)) as writer:
        for index in indices:
            record = _make_record(folder / PYRAMIDS, config, split, index, proxy_px, tile_size, compression)
            writer.write(to_example(record).SerializeToString())
    os.replace(part, path)


def _make_record(
    root: Path, config: MegapixelConfig, split: str, index: int, proxy_px: int, tile_size: int, compression: str
) -> ImageRecord:
    """Writes the pyramid of an image; its record."""
    drawing = draw(config, split, index)
    image = SparseImage.from_patches(config.height, config.width, tile_size, drawing.patches, drawing.corners)
    levels = image.levels()
    uri = f"{split}/{index:06d}.tif"
    tile_index = write_sparse_pyramid(image, root / uri, compression=compression, levels=levels)
    source = hashlib.sha256(drawing.corners.tobytes() + drawing.patches.tobytes())
    return ImageRecord(
        image_id=f"{split}-{index:06d}",
        label=drawing.label,
        sha256=source.hexdigest(),
        proxy=_make_proxy(levels, proxy_px),
        pyramid_uri=uri,
        index=tile_index,
    )


def _make_proxy(levels: list[SparseImage], proxy_px: int) -> bytes:
    """PNG, from the coarsest level that is at least twice as large: what the recipe makes of the whole image."""
    large = [level for level in levels if min(level.height, level.width) >= 2 * proxy_px] or levels[:1]
    pixels: np.ndarray = large[-1].dense()
    return encode_png(make_proxy(reading.normalize(pyvips.Image.new_from_array(pixels)), _recipe(proxy_px)))


def _recipe(proxy_px: int) -> ProxyRecipe:
    return ProxyRecipe(height=proxy_px, width=proxy_px)


@dataset_command(MegapixelConfig, train=5000, evaluation=0, test=1000, skip=("height", "width"))
@click.option("--side", default=1500, show_default=True, help="Of the canvases, pixels.")
@click.option("--proxy-px", default=180, show_default=True, help="Side of the proxies, pixels.")
@click.option("--tile-size", default=TILE_PX, show_default=True, help="Of the pyramids, pixels.")
@click.option("--compression", type=click.Choice(sorted(COMPRESSIONS)), default="deflate", show_default=True)
def main(
    output: str,
    counts: dict[str, int],
    overwrite: bool,
    side: int,
    proxy_px: int,
    tile_size: int,
    compression: str,
    **fields: int | str,
) -> Path:
    """Writes Megapixel MNIST as pyramids and records. Goes on where it was stopped."""
    config = MegapixelConfig.from_dict({"height": side, "width": side, **fields})
    layout = {"proxy_px": proxy_px, "tile_size": tile_size}
    return write(output, config, counts, **layout, compression=compression, overwrite=overwrite)


if __name__ == "__main__":
    main()
