"""A plan for raw images before they are converted: counts from their list, sizes from their headers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyvips

from tfvs.datasets.image_dataset import COLOURS, ImageDatasetConfig
from tfvs.errors import DataError, ImageError
from tfvs.images.colour import FORMATS
from tfvs.images.proxy import ProxyRecipe
from tfvs.paths import is_local
from tfvs.preparation.files import image_here
from tfvs.preparation.opening import describe, open_source
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import Reader, make_reader
from tfvs.preparation.records import split_of
from tfvs.preparation.sources import Source
from tfvs.training.facts import EVAL, TEST, TRAIN, Facts, has_imagenet, total_memory
from tfvs.training.plan import Plan, make_plan

OPENED = 64  # headers that are read
COPIED = 8  # images that are read in place of their headers where they lie in object storage


def plan_from_directory(
    directory: str | os.PathLike[str],
    object_px: float | None = None,
    *,
    validation_split: float | None = None,
    pretrained: bool | None = None,
    changes: Mapping[str, Any] | None = None,
    color_mode: str = "rgb",
    **options: Any,
) -> Plan:
    """What ``tfvs train`` would choose for large images in a folder per class, for Keras' own ``fit``.

    Only headers are read. Make the dataset with ``proxy_size=plan.proxy_size, batch_size=plan.train.batch_size``, the
    model by ``VariationalSaccader(plan.model)``, compile it with ``plan.optimizer()`` and fit it with
    ``**plan.fit_options()``; ``print(plan)`` says what was chosen and why.

    Args:
      directory: Holds a folder per class; or a manifest, see :func:`tfvs.preparation.readers.make_reader`.
      object_px: Longer side of what tells the classes apart, in pixels of the images; None where it is not known.
      validation_split: Share of the images that is kept from training, as given to
        :func:`tfvs.datasets.image_dataset_from_directory`.
      pretrained: See :func:`tfvs.training.plan.make_plan`.
      changes: See :func:`tfvs.training.plan.make_plan`.
      color_mode: As given to :func:`tfvs.datasets.image_dataset_from_directory`: ``"rgb"`` or ``"grayscale"``.
      **options: Fields of :class:`tfvs.preparation.options.PrepareOptions` that the dataset is given.

    Returns:
      The plan.

    Raises:
      DataError: None of the images can be opened, or they cannot be trained on.
      ConfigError: A change or an option that cannot work.
    """
    bands = COLOURS[ImageDatasetConfig(color_mode=color_mode).color_mode]
    reader = make_reader("auto", os.fspath(directory))
    facts = read_facts(reader, object_px, PrepareOptions.from_dict({"bands": bands, **options}), {TRAIN: 1})
    if validation_split is not None and not facts.eval_images:
        kept = int(validation_split * facts.images)  # They judge the model as well: Keras has no third part.
        counts = np.round(facts.counts * (1.0 - validation_split)).astype(np.int64)
        facts = dataclasses.replace(facts, counts=counts, eval_images=kept, test_images=kept)
    return make_plan(facts, changes, pretrained=pretrained)


def read_facts(reader: Reader, object_px: float | None, options: PrepareOptions, splits: Mapping[str, int]) -> Facts:
    """Facts of raw images.

    Headers of at most :data:`OPENED` images are read; images in object storage, at most :data:`COPIED`, are read whole.

    Args:
      reader: Lists them.
      object_px: See :class:`tfvs.training.facts.Facts`.
      options: What they will be converted to; where that leaves bands open, those of the image with most.
      splits: Shares of the splits, for images that name none.

    Raises:
      DataError: None of them can be opened, or the classes are not known.
    """
    listed: dict[str, list[Source]] = {TRAIN: [], EVAL: [], TEST: []}
    for source in reader.read():
        if isinstance(source, Source):
            listed.setdefault(source.split or split_of(source.image_id, dict(splits)), []).append(source)
    labels = np.array([source.label for source in listed[TRAIN]], np.int64)
    names = reader.class_names() or tuple(str(label) for label in range(int(labels.max(initial=-1)) + 1))
    depth = options.pyramid.dtype
    sizes, bands, depths = [], [], set()
    opened = OPENED if all(is_local(source.uri) for source in listed[TRAIN]) else COPIED
    for source in listed[TRAIN][:: max(len(listed[TRAIN]) // opened, 1)]:
        try:
            with image_here(source.uri) as path:
                image = open_source(path, describe(path, options), options)
        except (ImageError, pyvips.Error, OSError):
            continue  # Preparing it says why.
        sizes.append((image.height, image.width))
        bands.append(3 if image.bands >= 3 else 1)
        depths.add(depth or FORMATS.get(image.format, image.format))
    if not sizes:
        raise DataError("None of the training images can be opened", received=f"{len(listed[TRAIN])} images")
    return Facts(
        class_names=names,
        counts=np.bincount(labels[labels >= 0], minlength=len(names)),
        unlabelled=int((labels < 0).sum()),
        eval_images=len(listed[EVAL]),
        test_images=len(listed[TEST]),
        sizes=np.array(sizes),
        kinds=[(options.bands or max(bands), each) for each in sorted(depths)],
        proxy=ProxyRecipe(),
        proxy_spread=float("inf"),
        object_px=object_px,
        memory_bytes=total_memory(),
        has_imagenet=has_imagenet(),
    )
