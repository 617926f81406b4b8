"""Data sets of one's own images for Keras: pyramids are made on first use, pixels are read as looks ask for them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvs.config import Config, option, require
from tfvs.data.dataset import read_manifest, read_records, split_files, to_inputs
from tfvs.data.example import IMAGE_ID, LABEL
from tfvs.data.image_set import ImageSet
from tfvs.data.layout import MANIFEST, PYRAMIDS, RECORDS
from tfvs.errors import DataError, TooManyRejectedError
from tfvs.images.proxy import ProxyRecipe
from tfvs.ops.tracing import as_written
from tfvs.preparation.job import Job, fingerprint
from tfvs.preparation.job_folder import one_at_a_time
from tfvs.preparation.local import run_local
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import ImageFolderReader, Reader
from tfvs.preparation.sources import PassedOver, Rejected, Source

CACHE_VARIABLE = "TFVS_CACHE"
COLOURS = {"rgb": 3, "grayscale": 1}
SUBSETS = ("training", "validation", "both")
SHUFFLED_RECORDS = 20_000  # held while shuffling: a proxy and a tile index each
_ALL = "all"

Datasets: TypeAlias = "tf.data.Dataset | tuple[tf.data.Dataset, tf.data.Dataset]"


@dataclass(frozen=True)
class ImageDatasetConfig(Config):
    """How a data set of one's own images is made; names and meanings are those of Keras where it has them."""

    color_mode: str = option("rgb", "Of proxies and pyramids.", choices=tuple(COLOURS))
    batch_size: int = option(32, "Images in a batch.", at_least=1)
    proxy_size: tuple[int, int] = option((64, 64), "Height and width of the proxies, pixels.")
    shuffle: bool = option(True, "Whether images come in another order in every epoch; without, sorted by path.")
    seed: int | None = option(None, "Seed of the order and of the split.")
    validation_split: float | None = option(None, "Share of the images kept for validation.", above=0, below=1)
    subset: str | None = option(
        None, "Which part is made; both where there is a validation_split and no subset.", choices=(None, *SUBSETS)
    )
    cache_dir: str | None = option(None, "The cache; without it what TFVS_CACHE names, else ~/.cache/tfvs.")
    max_rejected: float = option(0.01, "Share of the images that may be refused.", at_least=0, at_most=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.validation_split is not None or self.subset is None,
            "A subset is a part of a split",
            expected="validation_split with subset",
            received=f"subset={self.subset!r}",
        )
        require(
            not (self.shuffle and self.validation_split is not None and self.seed is None),
            "Without a seed two calls would split the shuffled images differently",
            expected="seed=…, or shuffle=False",
            received="validation_split with shuffle and no seed",
        )

    @property
    def cache(self) -> Path:
        """The cache's folder."""
        return Path(self.cache_dir or os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "tfvs").resolve()


def image_dataset_from_directory(
    directory: str | os.PathLike[str], *, class_names: Sequence[str] | None = None, **options: Any
) -> Datasets:
    """Large images in a folder per class, as :func:`keras.utils.image_dataset_from_directory` has small ones.

    Images become pyramids and proxies in a cache folder, named by their content, when they are first used; a call that
    was stopped goes on where it was. Nothing of the images is held in memory: a model reads the tiles that it looks at.
    Give the dataset to ``fit``, ``evaluate`` or ``predict`` as it is: the model then knows where the pyramids lie, and
    ``model.export`` the classes and the proxy.

    Args:
      directory: Holds a folder per class.
      class_names: Classes in the order of their labels; None: the folders' names, sorted.
      **options: Fields of :class:`ImageDatasetConfig`, such as ``batch_size=16, validation_split=0.2, seed=1``, and of
        :class:`tfvs.preparation.options.PrepareOptions`, such as ``max_side_px=4000``.

    Returns:
      A dataset of ``(inputs, labels)``, or one for training and one for validation. Inputs are a dict of ``"proxy"
      [B, h, w, c]`` float32 in [0, 1] and the features of a pyramid, labels ``[B]`` int64. Each has the attributes
      ``class_names``, ``file_paths`` and ``image_set``.

    Raises:
      ConfigError: Options that are not known or contradict each other.
      DataError: The folder is missing, empty or in another layout.
      TooManyRejectedError: Too many images cannot be read.
    """
    reader = ImageFolderReader(os.fspath(directory), None if class_names is None else tuple(class_names))
    splits = sorted({item.split for item in reader.read() if isinstance(item, Source) and item.split is not None})
    if splits:
        raise DataError(
            "The folder holds splits, not classes",
            expected="a folder per class",
            received=f"{os.fspath(directory)} with {', '.join(splits)}",
            mend="Give the folder of one split, or use tfvs prepare and tfvs train",
        )
    return _make(reader, options)


def image_dataset_from_dataframe(
    dataframe: Any,
    directory: str | os.PathLike[str] = "",
    x_col: str = "filename",
    y_col: str = "class",
    *,
    classes: Sequence[str] | None = None,
    **options: Any,
) -> Datasets:
    """As :func:`image_dataset_from_directory`, of the images that a table names.

    Args:
      dataframe: A pandas DataFrame, or anything whose columns are had by name, such as a dict of lists.
      directory: What relative paths are relative to.
      x_col: Column of the paths.
      y_col: Column of the classes' names.
      classes: Classes in the order of their labels; None: those that occur, sorted.
      **options: See :func:`image_dataset_from_directory`.

    Returns:
      See :func:`image_dataset_from_directory`.

    Raises:
      DataError: A column is missing, or a class is not among ``classes``.
    """
    try:
        paths, labels = [list(map(str, dataframe[column])) for column in (x_col, y_col)]
    except KeyError as error:
        raise DataError(
            "The table has no such column", expected=f"{x_col}, {y_col}", received=list(dataframe)
        ) from error
    names = tuple(classes) if classes is not None else tuple(sorted(set(labels)))
    if unknown := sorted(set(labels) - set(names)):
        raise DataError("The table names other classes", expected=names, received=unknown[:10])
    rows = [
        (path, os.path.join(os.fspath(directory), path), names.index(label))
        for path, label in zip(paths, labels, strict=True)
    ]
    return _make(_TableReader(rows, names), options)


class _TableReader:
    """Images by id, path and label."""

    def __init__(self, rows: Sequence[tuple[str, str, int]], names: tuple[str, ...]) -> None:
        self._rows, self._names = rows, names

    def read(self) -> Iterator[Source | Rejected | PassedOver]:
        """Lists them as they are given."""
        for image_id, path, label in self._rows:
            yield Source(image_id, path, label)

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._names

    def inputs(self) -> list[str]:
        """None: the list is the table itself."""
        return []


def _make(reader: Reader, options: dict[str, Any]) -> Datasets:
    own = {field.name for field in dataclasses.fields(ImageDatasetConfig)}
    config = ImageDatasetConfig.from_dict({name: value for name, value in options.items() if name in own})
    bands, (height, width) = COLOURS[config.color_mode], config.proxy_size
    recipe = ProxyRecipe(height=height, width=width, channels=bands)
    others = {name: value for name, value in options.items() if name not in own}
    files = _prepare(reader, PrepareOptions.from_dict({"bands": bands, **others, "proxy": recipe}), config)
    found = read_manifest(files)
    image_set = ImageSet(
        reader.class_names(),
        (str(config.cache / PYRAMIDS),),
        recipe,
        found.dtype,
        found.max_side_px,
        found.conversion,
    )
    ids = _read_ids(files)
    order = np.argsort(ids)
    if config.shuffle:
        np.random.default_rng(config.seed).shuffle(order)
    if config.validation_split is None:
        return _dataset(files, ids, order, image_set, config)
    kept = len(order) - int(config.validation_split * len(order))
    parts = {"training": order[:kept], "validation": order[kept:]}
    made = {name: _dataset(files, ids, rows, image_set, config) for name, rows in parts.items()}
    return made[config.subset] if config.subset in made else (made["training"], made["validation"])


def _prepare(reader: Reader, options: PrepareOptions, config: ImageDatasetConfig) -> list[str]:
    """Record files in the cache; they are made where the list or a file changed since."""
    known = f"{fingerprint(reader)} {reader.class_names()} {options.to_json()} {options.pyramid_key('')}"
    records = config.cache / RECORDS / hashlib.sha256(known.encode()).hexdigest()[:24]
    with one_at_a_time(records.with_suffix(".lock")):
        _write_records(records, reader, options, config)
    return split_files(records, _ALL)


def _write_records(records: Path, reader: Reader, options: PrepareOptions, config: ImageDatasetConfig) -> None:
    """Prepares the images where no other process has."""
    if not (records / MANIFEST).is_file():
        with tqdm(unit="image", desc="pyramids", file=sys.stderr, mininterval=0.5) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            job = Job(
                reader,
                options,
                records_root=str(records),
                pyramid_root=str(config.cache / PYRAMIDS),
                splits={_ALL: 1},
                num_shards=1,
                max_rejected=config.max_rejected,
                progress=show,
            )
            try:
                manifest = run_local(job)
            except TooManyRejectedError:
                (records / MANIFEST).unlink(missing_ok=True)  # Or the next call would take what was refused here.
                raise
        if manifest["rejected"]:
            print(f"{manifest['rejected']} images were refused: {records}/rejected.jsonl says why", file=sys.stderr)


def _read_ids(files: Sequence[str]) -> np.ndarray:
    """Ids of all records, ``[N]`` of bytes, in the files' order."""
    spec = {IMAGE_ID: tf.io.FixedLenFeature([], tf.string), LABEL: tf.io.FixedLenFeature([], tf.int64)}
    found = [tf.io.parse_example(batch, spec)[IMAGE_ID].numpy() for batch in read_records(files).batch(1024)]
    return np.concatenate(found)


@as_written
def _dataset(
    files: Sequence[str], ids: np.ndarray, rows: np.ndarray, image_set: ImageSet, config: ImageDatasetConfig
) -> tf.data.Dataset:
    """Batches of the records whose numbers are given."""
    if not len(rows):
        raise DataError("A subset has no images", received=f"{len(ids)} images", mend="Change validation_split")
    wanted = np.zeros(len(ids), bool)
    wanted[rows] = True
    records = tf.data.Dataset.zip((read_records(files), tf.data.Dataset.from_tensor_slices(wanted)))
    records = records.filter(lambda _, is_wanted: is_wanted).map(lambda record, _: record)
    if config.shuffle:
        buffer = min(len(rows), SHUFFLED_RECORDS)
        records = records.shuffle(buffer, seed=config.seed, reshuffle_each_iteration=True)
    batches = records.batch(config.batch_size).map(lambda serialized: to_inputs(serialized, image_set.proxy))
    count = -(-len(rows) // config.batch_size)
    dataset = batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
    dataset.class_names = list(image_set.class_names)
    dataset.file_paths = sorted(ids[row].decode() for row in rows)
    dataset.image_set = image_set
    return dataset
