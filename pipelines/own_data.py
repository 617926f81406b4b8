"""What is known of raw images before they are converted: counts from their list, sizes from their headers."""

from __future__ import annotations

import importlib.util

import numpy as np
import pyvips

from tfvs.errors import DataError, ImageError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.opening import describe, open_source
from tfvs.preparation.options import DEFAULT_SPLITS, PrepareOptions
from tfvs.preparation.readers import Reader
from tfvs.preparation.records import split_of
from tfvs.preparation.sources import Source
from tfvs.training.facts import EVAL, IMAGENET_PACKAGE, TEST, TRAIN, Facts, total_memory

OPENED = 64  # headers that are read


def read_facts(reader: Reader, object_px: float | None = None) -> Facts:
    """Facts of raw images.

    Args:
      reader: Lists them.
      object_px: See :class:`tfvs.training.facts.Facts`.

    Raises:
      DataError: None of them can be opened, or the classes are not known.
    """
    listed = [item for item in reader.read() if isinstance(item, Source)]
    splits: dict[str, list[Source]] = {TRAIN: [], EVAL: [], TEST: []}
    for source in listed:
        splits.setdefault(source.split or split_of(source.image_id, DEFAULT_SPLITS), []).append(source)
    labels = np.array([source.label for source in splits[TRAIN]], np.int64)
    names = reader.class_names() or tuple(str(label) for label in range(int(labels.max(initial=-1)) + 1))
    sizes, bands = [], set()
    for source in splits[TRAIN][:: max(len(splits[TRAIN]) // OPENED, 1)]:
        try:
            options = PrepareOptions()
            image = open_source(source.uri, describe(source.uri, options), options)
        except (ImageError, pyvips.Error, OSError):
            continue  # Preparing it says why.
        sizes.append((image.height, image.width))
        bands.add(3 if image.bands >= 3 else 1)
    if not sizes:
        raise DataError("None of the training images can be opened", received=f"{len(splits[TRAIN])} images")
    return Facts(
        class_names=names,
        counts=np.bincount(labels[labels >= 0], minlength=len(names)),
        unlabelled=int((labels < 0).sum()),
        eval_images=len(splits[EVAL]),
        test_images=len(splits[TEST]),
        sizes=np.array(sizes),
        kinds=[(max(bands), "uint8")],  # What the pipeline converts them to.
        proxy=ProxyRecipe(),
        proxy_spread=float("inf"),
        object_px=object_px,
        memory_bytes=total_memory(),
        has_imagenet=importlib.util.find_spec(IMAGENET_PACKAGE) is not None,
    )
