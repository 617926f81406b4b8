"""``tf.data`` pipelines over TFRecords of Examples: proxies decoded, tile indices padded, pixels left on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfvs.data import example as contract
from tfvs.data.layout import MANIFEST, split_folder
from tfvs.data.shards import check_complete, check_shards
from tfvs.errors import ConfigError, DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.ops.tracing import as_written
from tfvs.paths import match_in_folder

Inputs = dict[str, tf.Tensor]
PASSES = 1_000_003  # more than any training has: tells the seeds of shuffling apart


@dataclass(frozen=True)
class Manifest:
    """What the manifest says of its records, and a model that is trained on them must know.

    Attributes:
      proxy: How the proxies were made.
      dtype: Depth that the images were brought to; None: they kept their own.
      max_side_px: Longer side that larger images were reduced to; None: none were.
      conversion: Other ways in which they were changed, in words.
      class_names: In the order of the labels; empty where the data have indices alone.
    """

    proxy: ProxyRecipe
    dtype: str | None = None
    max_side_px: int | None = None
    conversion: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """Which part of the record files one of several hosts trains on: every so many-th file, in batches of one device.

    Attributes:
      host: Number of the host, from 0.
      hosts: How many there are.
      devices: Devices of a host.
    """

    host: int = 0
    hosts: int = 1
    devices: int = 1

    def files(self, files: Sequence[str]) -> list[str]:
        """The host's own files.

        Raises:
          DataError: There are fewer files than hosts.
        """
        if len(files) < self.hosts:
            raise DataError(
                "There are fewer record files than hosts that train, and each reads files of its own",
                expected=f">= {self.hosts} files",
                received=len(files),
                mend="Prepare the images with a larger --num-shards",
            )
        return list(files)[self.host :: self.hosts]

    def batch_size(self, batch_size: int) -> int:
        """The batch of one device.

        Raises:
          ConfigError: The global batch does not divide among the devices.
        """
        parts = self.hosts * self.devices
        if batch_size % parts:
            raise ConfigError(
                "The global batch does not divide among the devices of all hosts",
                expected=f"a multiple of {parts}",
                received=batch_size,
            )
        return batch_size // parts


WHOLE = Share()


def find_files(patterns: str | Sequence[str]) -> list[str]:
    """Record files in a stable order.

    Args:
      patterns: Paths whose last part may be a pattern, such as ``records/Split-train/*``; folders are taken as they
        are, brackets and stars included.

    Raises:
      DataError: No file matches.
    """

    def list_folder(folder: str) -> list[str]:
        return tf.io.gfile.listdir(folder) if tf.io.gfile.isdir(folder) else []

    given = [patterns] if isinstance(patterns, str) else list(patterns)
    files = sorted({path for pattern in given for path in match_in_folder(pattern, list_folder)})
    if not files:
        raise DataError("No record files", received=patterns, mend="Run tfvs prepare or the pipeline first")
    return files


def split_files(records: str | os.PathLike[str], split: str) -> list[str]:
    """Record files of one split, in a stable order.

    Args:
      records: Folder of the records; in TFX, that of an ``Examples`` artifact.
      split: Name of the split.

    Raises:
      DataError: There are none, or the manifest names more.
    """
    files = find_files(os.path.join(records, split_folder(split), "*"))
    check_complete(os.fspath(records), split_folder(split), files)
    return files


def read_manifest(files: Sequence[str]) -> Manifest:
    """The manifest of record files, which lies beside the folders of their splits.

    Args:
      files: Files of one set of records, see :func:`find_files`.

    Raises:
      DataError: There is none, or it says too little.
    """
    path = os.path.join(os.path.dirname(os.path.dirname(files[0])), MANIFEST)
    try:
        with tf.io.gfile.GFile(path) as file:
            values = json.loads(file.read())
        images = values["images"]
        recipe = ProxyRecipe.from_dict(values["proxy"])
        names = tuple(values.get("class_names", ()))
        return Manifest(recipe, images["dtype"], images["max_side_px"], tuple(images["conversion"]), names)
    except (tf.errors.OpError, ValueError, KeyError, ConfigError) as error:
        raise DataError(
            "The records do not say how their proxies were made",
            expected="proxy and images in the manifest",
            received=f"{path}: {error}",
            mend="Write them with tfvs prepare or SaccadeExampleGen of this version",
        ) from error


def read_records(files: Sequence[str]) -> tf.data.Dataset:
    """Serialized Examples, in file order; gzip by the file's name, as TFX and Beam name them.

    Raises:
      DataError: A file is not the one that the manifest names, see :mod:`tfvs.data.shards`.
    """
    check_shards(files)
    compression = "GZIP" if files[0].endswith(".gz") else ""
    return tf.data.TFRecordDataset(list(files), compression_type=compression)


@as_written
def read_labels(files: Sequence[str]) -> np.ndarray:
    """Labels of all records, ``[N]`` int64."""

    def label(record: tf.Tensor) -> tf.Tensor:
        spec = {contract.LABEL: tf.io.FixedLenFeature([], tf.int64)}
        return tf.io.parse_example(record, spec)[contract.LABEL]

    batches = [labels.numpy() for labels in read_records(files).batch(1024).map(label)]
    return np.concatenate(batches) if batches else np.zeros([0], np.int64)


@as_written
def decode_proxies(encoded: tf.Tensor, proxy: ProxyRecipe) -> tf.Tensor:
    """PNG proxies as float32 in [0, 1], ``[B, h, w, c]``."""

    def decode(png: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.io.decode_png(png, proxy.channels), proxy.shape)

    pixels = tf.map_fn(decode, encoded, fn_output_signature=tf.uint8)
    return tf.cast(pixels, tf.float32) / 255.0


def to_inputs(serialized: tf.Tensor, proxy: ProxyRecipe) -> tuple[Inputs, tf.Tensor]:
    """A batch of serialized Examples → the model's inputs and the labels ``[B]`` int64."""
    parsed = contract.parse_examples(serialized)
    inputs = {name: parsed[name] for name in contract.PYRAMID_FEATURES}
    inputs["proxy"] = decode_proxies(parsed[contract.PROXY], proxy)
    return inputs, parsed[contract.LABEL]


@as_written
def training_dataset(
    files: Sequence[str],
    proxy: ProxyRecipe,
    *,
    batch_size: int,
    steps_per_epoch: int,
    epochs: int,
    initial_epoch: int = 0,
    shuffle_buffer: int = 20_000,
    seed: int = 0,
    class_weights: Sequence[float] | None = None,
    class_rates: Sequence[float] | None = None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Shuffled whole batches of ``(inputs, label, weight)``.

    Epoch ``e`` has the same order whether training began at 0 or was resumed at ``e``. With ``class_rates``, a pass
    draws as many records as there are, with replacement; it reads the files in order and repeats what it has drawn.

    A share of several hosts has no end, for a host with fewer records than others begins them anew earlier.

    Args:
      files: Record files.
      proxy: Recipe of the proxies.
      batch_size: Global batch; the remainder of an epoch is left out of it.
      steps_per_epoch: Whole batches in the files.
      epochs: Where training ends.
      initial_epoch: Where it begins.
      shuffle_buffer: Records held for shuffling (no pixels but the proxy's).
      seed: Seed of the order.
      class_weights: Per class, multiplied into the loss; None for 1.
      class_rates: Per class, how often a record is drawn compared with records of other classes, such as the inverse
        frequencies of :func:`balanced_class_weights`; None: every record once per pass.
      share: Which part of the files, where several hosts train together.
    """
    several = share.hosts > 1
    files, batch_size = share.files(files), share.batch_size(batch_size)
    steps_per_epoch *= share.devices
    rates = None if class_rates is None else np.asarray(class_rates, np.float64)[read_labels(files)]
    weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def parse(serialized: tf.Tensor) -> tuple[Inputs, tf.Tensor, tf.Tensor]:
        inputs, label = to_inputs(serialized, proxy)
        return inputs, label, tf.ones([batch_size]) if weights is None else tf.gather(weights, label)

    def all_epochs(_: tf.Tensor) -> tf.data.Dataset:
        if rates is not None:
            passes = tf.data.Dataset.range(PASSES if several else epochs)
            return passes.flat_map(
                lambda number: (
                    _drawn_records(files, rates, seed, number)
                    .shuffle(shuffle_buffer, seed=seed * PASSES + number)
                    .batch(batch_size, drop_remainder=True)
                )
            )
        records = read_records(files).shuffle(shuffle_buffer, seed=seed, reshuffle_each_iteration=True)
        if several:
            return records.repeat().batch(batch_size)
        return records.batch(batch_size, drop_remainder=True).repeat(epochs)

    # Iterators of one shuffled dataset take their seeds in turns, and Keras makes one to learn shapes. Made anew inside
    # a function, it gives every iterator the same order.
    remaining = tf.data.Dataset.from_tensors(0).flat_map(all_epochs).skip(initial_epoch * steps_per_epoch)
    return remaining.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _drawn_records(files: Sequence[str], rates: np.ndarray, seed: int, number: tf.Tensor) -> tf.data.Dataset:
    """The records of a pass that draws with replacement, in the files' order, each as often as it was drawn.

    Args:
      files: Record files.
      rates: ``[N]``, in proportion to which records are drawn.
      seed: With the number it decides what is drawn.
      number: Number of the pass.
    """
    ends = tf.constant(np.cumsum(rates) / rates.sum())
    places = tf.random.stateless_uniform([len(rates)], tf.stack([tf.cast(seed, tf.int64), number]), dtype=tf.float64)
    drawn = tf.minimum(tf.searchsorted(ends, places, side="right"), len(rates) - 1)
    times = tf.math.bincount(drawn, minlength=len(rates), dtype=tf.int64)
    numbered = tf.data.Dataset.zip((read_records(files), tf.data.Dataset.from_tensor_slices(times)))
    return numbered.flat_map(lambda record, count: tf.data.Dataset.from_tensors(record).repeat(count))


@as_written
def evaluation_dataset(
    files: Sequence[str], proxy: ProxyRecipe, *, batch_size: int, limit: int | None = None
) -> tf.data.Dataset:
    """All records, once, in whole batches of ``(inputs, label, weight)``; padding has weight 0.

    Whole batches, because a replica of MirroredStrategy whose share of a batch is empty fails in Keras 3; a known
    cardinality, because with an unknown one Keras 3 counts a batch that is not there.
    """
    count = len(read_labels(files)) if limit is None else min(limit, len(read_labels(files)))
    batches = -(-count // batch_size)
    records = read_records(files).take(count).map(lambda record: (record, 1.0))
    padding = read_records(files).take(1).map(lambda record: (record, 0.0)).repeat(batches * batch_size - count)

    def parse(serialized: tf.Tensor, weight: tf.Tensor) -> tuple[Inputs, tf.Tensor, tf.Tensor]:
        inputs, label = to_inputs(serialized, proxy)
        return inputs, label, weight

    dataset = records.concatenate(padding).batch(batch_size, drop_remainder=True)
    dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    return dataset.apply(tf.data.experimental.assert_cardinality(batches))


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> list[float]:
    """Inverse frequencies with mean 1 over the records; a class that is absent has weight 0.

    >>> balanced_class_weights(np.array([0, 0, 0, 1]), 2)
    [0.6666666666666666, 2.0]
    """
    counts = np.bincount(labels, minlength=num_classes)
    present = np.count_nonzero(counts)
    return [float(len(labels) / (present * count)) if count else 0.0 for count in counts]
