"""GTSDB for the benchmark: as records and pyramids to train on, or as it is to test on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.speed_limits_folds import FOLDS, OWN_FOLD
from pipelines.speed_limits import DEFAULT
from tfvs.data.dataset import evaluation_dataset, find_files, read_labels, read_records
from tfvs.data.example import ImageRecord, from_example
from tfvs.data.layout import MANIFEST, PYRAMIDS, split_folder
from tfvs.datasets.gtsdb import HEIGHT_PX, WIDTH_PX
from tfvs.errors import DataError
from tfvs.images.proxy import ProxyRecipe, make_proxy
from tfvs.images.reading import normalize, open_image
from tfvs.preparation.job import Job
from tfvs.preparation.local import run_local
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader
from tfvs.preparation.readers.gtsdb import TRAINVAL_END, GTSDBReader
from tfvs.preparation.sources import PassedOver, Rejected, Source

EVALUATED_AT_ONCE = 12
DECODED_AT_ONCE = 6
TRAIN, VALIDATION = "train", "eval"


def proxy_recipe(reduction: int) -> ProxyRecipe:
    """Photographs whose sides are divided by a number.

    Args:
      reduction: A divisor of 800 and 1 360.
    """
    return ProxyRecipe(height=HEIGHT_PX // reduction, width=WIDTH_PX // reduction, channels=3)


class Prepared(NamedTuple):
    """Photographs as records and pyramids: a model reads the tiles that it looks at.

    Attributes:
      data: GTSDB.
      folder: Folder of its pyramids and records.
      proxy: Recipe of the proxies.
      files: Record files.
    """

    data: Path
    folder: Path
    proxy: ProxyRecipe
    files: list[str]

    @property
    def pyramid_roots(self) -> tuple[str, ...]:
        """Folders of the pyramids."""
        return (str(self.folder / PYRAMIDS),)

    @property
    def labels(self) -> np.ndarray:
        """``[N]`` class of each photograph."""
        return read_labels(self.files)

    @property
    def ids(self) -> list[str]:
        """Names of the photographs, in the files' order."""
        return [record.image_id for record in self.records]

    @property
    def records(self) -> list[ImageRecord]:
        """What is known of each photograph."""
        records = read_records(self.files).as_numpy_iterator()
        return [from_example(tf.train.Example.FromString(record)) for record in records]

    def batches(self) -> tf.data.Dataset:
        """To evaluate, in order, in whole batches; padding has weight 0."""
        return evaluation_dataset(self.files, self.proxy, batch_size=EVALUATED_AT_ONCE)


class Folder(NamedTuple):
    """Photographs as they are: each is decoded whole where it is evaluated, and nothing is written.

    Attributes:
      data: GTSDB.
      proxy: Recipe of the proxies.
      sources: The photographs.
    """

    data: Path
    proxy: ProxyRecipe
    sources: list[Source]

    @property
    def pyramid_roots(self) -> tuple[str, ...]:
        """There are no pyramids."""
        return ()

    @property
    def labels(self) -> np.ndarray:
        """``[N]`` class of each photograph."""
        return np.array([source.label for source in self.sources])

    @property
    def ids(self) -> list[str]:
        """Names of the photographs, in order."""
        return [source.image_id for source in self.sources]

    def batches(self) -> tf.data.Dataset:
        """``({"image", "proxy"}, label)`` in order; the last batch may be smaller."""

        def read(uri: bytes) -> tuple[np.ndarray, np.ndarray]:
            image = normalize(open_image(uri.decode()), bands=3, dtype="uint8").copy_memory()
            return image.numpy(), make_proxy(image, self.proxy)

        def make(uri: tf.Tensor, label: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            image, proxy = tf.numpy_function(read, [uri], [tf.uint8, tf.uint8], stateful=False)
            image = tf.ensure_shape(image, (HEIGHT_PX, WIDTH_PX, 3))
            return {"image": image, "proxy": tf.ensure_shape(proxy, self.proxy.shape)}, label

        uris = [source.uri for source in self.sources]
        dataset = tf.data.Dataset.from_tensor_slices((uris, self.labels)).map(make, num_parallel_calls=2)
        return dataset.batch(DECODED_AT_ONCE).prefetch(1)


class FoldReader(GTSDBReader):
    """Photographs 0 to 599 alone, a fifth of which are the validation; the others are for training.

    Args:
      data: GTSDB.
      fold: Which fifth, from 0.
    """

    def __init__(self, data: Path, fold: int) -> None:
        super().__init__(str(data))
        self._fold = fold

    def read(self) -> Iterator[Source | Rejected | PassedOver]:
        """Lists the photographs."""
        for item in super().read():
            if not isinstance(item, Source):
                yield item
            elif (number := int(item.image_id)) < TRAINVAL_END:
                own = number * FOLDS // TRAINVAL_END == self._fold
                yield dataclasses.replace(item, split=VALIDATION if own else TRAIN)


def prepare(data: Path, output: Path, split: str, proxy: ProxyRecipe, fold: int = OWN_FOLD) -> Prepared:
    """Records and pyramids of a folder of photographs with ``gt.txt``; they are made where they are not there.

    Args:
      data: The folder.
      output: Gets ``pyramids``, and a folder of records for each size of proxies and each fold.
      split: ``"train"`` or ``"eval"``.
      proxy: Recipe of the proxies.
      fold: Which fifth is the validation.

    Raises:
      DataError: There are none.
    """
    records = output / f"records-{proxy.height}x{proxy.width}-{fold}"
    if not (records / MANIFEST).exists():
        job = Job(
            reader=FoldReader(data, fold),
            options=PrepareOptions(proxy=proxy, tile_size=DEFAULT.tile_size, quality=95, decoder="direct"),
            records_root=str(records),
            pyramid_root=str(output / PYRAMIDS),
            num_shards=1,
        )
        run_local(job)
    found = [path for path in sorted((records / split_folder(split)).glob("*")) if path.is_file()]
    if not found:
        raise DataError("There are no records of this split", expected=split, received=records)
    return Prepared(data, output, proxy, find_files([str(path) for path in found]))


def list_folder(data: Path, proxy: ProxyRecipe) -> Folder:
    """All photographs of a folder with ``gt.txt``.

    Args:
      data: The folder.
      proxy: Recipe of the proxies.

    Raises:
      DataError: A line of ``gt.txt`` cannot be read, or there are no photographs.
    """
    sources = []
    for item in make_reader("gtsdb", str(data)).read():
        if isinstance(item, Rejected):
            raise DataError("A photograph's class is not known", received=item.reason)
        if isinstance(item, Source):
            sources.append(item)
    return Folder(data, proxy, sources)
