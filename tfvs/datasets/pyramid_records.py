"""Writing a generated data set as pyramids and records at once, ready to train on: no images, manifest or Beam.

``DIR/pyramids`` holds one pyramid per image, ``DIR/records`` TFRecords of 100 Examples each: a proxy and the pyramid's
tile index. A shard appears whole or not at all, and image ``i`` of a split depends on the description and ``i`` alone:
a run that was stopped goes on, and one that asks for more images keeps those that are there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from tqdm import tqdm

from tfvs.data.example import to_example
from tfvs.data.layout import MANIFEST, PYRAMIDS, RECORDS
from tfvs.data.records import ImageRecord
from tfvs.datasets.writing import DESCRIPTION, other_configuration
from tfvs.errors import DataError
from tfvs.images.proxy import ProxyRecipe

SHARD_IMAGES = 100


def image_id(split: str, index: int) -> str:
    """Id of image ``index`` of a split."""
    return f"{split}-{index:06d}"


def pyramid_uri(split: str, index: int) -> str:
    """Where its pyramid lies below the root."""
    return f"{split}/{index:06d}.tif"


# (root of the pyramids, split, index) → the record of the image whose pyramid it has written.
MakeRecord = Callable[[Path, str, int], ImageRecord]


class _Shard(NamedTuple):
    """Images ``first`` to ``last`` of a split, for one file."""

    folder: Path
    split: str
    first: int
    last: int
    make: MakeRecord

    @property
    def path(self) -> Path:
        return self.folder / RECORDS / f"{self.split}-{self.first:06d}-{self.last:06d}.tfrecord"


def write_records(
    output: str | os.PathLike[str],
    counts: Mapping[str, int],
    make: MakeRecord,
    *,
    description: Mapping[str, Any],
    proxy: ProxyRecipe,
    class_names: Sequence[str],
    overwrite: bool = False,
    workers: int = 1,
) -> Path:
    """Writes pyramids and records; goes on where it was stopped, and does nothing where as many or more are there.

    Args:
      output: Folder, made where missing.
      counts: Images per split.
      make: Writes the pyramid of an image and gives its record; with several workers it must be picklable.
      description: What the images depend on.
      proxy: Recipe of the proxies, for the records' manifest.
      class_names: In the order of the labels.
      overwrite: Whether to replace a data set of another description.
      workers: Processes that write shards.

    Returns:
      Path of the description.

    Raises:
      DataError: The folder holds another data set.
    """
    folder = Path(output)
    _check_folder(folder, description, overwrite)
    images: dict[str, Any] = {"dtype": "uint8", "max_side_px": None, "conversion": []}
    manifest = {"class_names": list(class_names), "proxy": proxy.to_dict(), "images": images}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    (folder / RECORDS).mkdir(parents=True, exist_ok=True)
    for split in counts:
        (folder / PYRAMIDS / split).mkdir(parents=True, exist_ok=True)
    missing = [shard for shard in _shards(folder, counts, make) if not shard.path.exists()]
    total = sum(shard.last - shard.first + 1 for shard in missing)
    with tqdm(total=total, unit="image", desc=folder.name, file=sys.stderr, mininterval=5.0) as progress:
        if workers == 1 or len(missing) < 2:
            for written in map(_write_shard, missing):
                progress.update(written)
        else:
            # Fresh processes: forked children of one that has read pixels with libvips hang.
            with multiprocessing.get_context("spawn").Pool(min(workers, len(missing))) as pool:
                for written in pool.imap_unordered(_write_shard, missing):
                    progress.update(written)
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
            mend="Run the command that writes the data set again, with more images",
        )
    return found


def _shards(folder: Path, counts: Mapping[str, int], make: MakeRecord) -> Iterator[_Shard]:
    for split, count in counts.items():
        for first in range(0, count, SHARD_IMAGES):
            yield _Shard(folder, split, first, min(first + SHARD_IMAGES, count) - 1, make)


def _check_folder(folder: Path, description: Mapping[str, Any], overwrite: bool) -> None:
    path = folder / DESCRIPTION
    text = json.dumps(description, indent=2, sort_keys=True) + "\n"
    if path.exists() and path.read_text() != text:
        if not overwrite:
            raise other_configuration(description, path.read_text())
        for stale in (folder / RECORDS).glob("*.tfrecord"):
            stale.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _write_shard(shard: _Shard) -> int:
    """Writes a shard; returns how many images it holds."""
    for other in shard.path.parent.glob(f"{shard.split}-{shard.first:06d}-*.tfrecord"):
        other.unlink()
    part = shard.path.with_name(f".{shard.path.name}.part")
    with tf.io.TFRecordWriter(str(part)) as writer:
        for index in range(shard.first, shard.last + 1):
            record = shard.make(shard.folder / PYRAMIDS, shard.split, index)
            writer.write(to_example(record).SerializeToString())
    os.replace(part, shard.path)
    return shard.last - shard.first + 1
