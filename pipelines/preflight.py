"""Checks before a run: each error names the component that would fail later, and how to mend it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

from pipelines.config import PYRAMIDS, PipelineConfig
from pipelines.schema import ensure_schema
from tfvs.datasets.adobe5k import CLASS_NAMES as FIVEK_CLASSES
from tfvs.errors import ConfigError, DataError, ResourceError, TooManyRejectedError
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.paths import is_local, require_whole
from tfvs.preparation import files
from tfvs.preparation.options import DEFAULT_SPLITS, MAX_REJECTED, PrepareOptions
from tfvs.preparation.readers import make_reader
from tfvs.preparation.records import split_of
from tfvs.preparation.sources import PassedOver, Rejected
from tfvs.training.trainer import TrainConfig, check_batch

SPLITS = tuple(DEFAULT_SPLITS)
# With less free space than this the first pyramids would fill the disk.
MINIMUM_FREE_BYTES = 100_000_000


def check(config: PipelineConfig) -> None:
    """Checks configuration, data folder, output folder and numbers of images. It reads lists of images, no pixels.

    Raises:
      ConfigError: The configuration contradicts itself.
      DataError: The data folder is not there, empty, unreadable or in another layout; or a class or a split has too few
        images.
      ResourceError: The output folder cannot be written, or its disk is full.
    """
    check_config(config)
    check_folder(config)
    check_output(config)
    ensure_schema(config)
    check_counts(config, count_images(config))


def check_config(config: PipelineConfig) -> None:
    """Builds the configuration of every component and checks that they fit each other.

    Raises:
      ConfigError: One cannot work, or two contradict each other.
    """
    model = saccader_config(config)
    train = TrainConfig.from_dict(config.train)
    prepare_options(config)
    low, high = train.zoom_to or model.min_scale, train.zoom_from or model.max_scale
    if low < model.min_scale or high > model.max_scale:
        raise ConfigError(
            "Trainer: the zoom leaves the model's range of scales",
            expected=f"{model.min_scale} <= train.zoom_to <= train.zoom_from <= {model.max_scale}",
            received=f"zoom_from {train.zoom_from}, zoom_to {train.zoom_to}",
            mend="Change TFVS_TRAIN, or min_scale and max_scale of TFVS_MODEL",
        )
    if config.reader == "fivek" and tuple(config.class_names) != FIVEK_CLASSES:
        raise ConfigError(
            "SaccadeExampleGen: FiveK has a fixed list of classes",
            expected=FIVEK_CLASSES,
            received=config.class_names,
            mend="Leave class_names as it is, or use the reader 'folder' or 'manifest'",
        )


def saccader_config(config: PipelineConfig) -> SaccaderConfig:
    """The configuration of the model."""
    fixed = {"num_classes": len(config.class_names), "pyramid_roots": (config.location(PYRAMIDS),)}
    if both := sorted(set(fixed) & set(config.model)):
        raise ConfigError("Trainer: the pipeline itself sets some of the model's fields", received=both)
    model = SaccaderConfig.from_dict({**config.model, **fixed})
    model.check_proxy(config.proxy.height, config.proxy.width)
    return model


def prepare_options(config: PipelineConfig) -> PrepareOptions:
    """The options of the ExampleGen."""
    return PrepareOptions(
        proxy=config.proxy,
        bands=config.image_bands,
        tile_size=config.tile_size,
        compression=config.compression,
        max_side_px=config.max_side_px,
    )


def check_folder(config: PipelineConfig) -> None:
    """Checks that the data folder exists, can be read and is not empty.

    Raises:
      ConfigError: It is half a URI, or of an unknown scheme.
      DataError: It does not exist, cannot be read, or is empty.
      ResourceError: The storage that a URI names cannot be reached, or refuses.
    """
    if not is_local(require_whole(config.data)):
        if not files.exists(config.data):
            raise DataError("There are no data", received=config.data, mend="Set TFVS_DATA to them")
        return
    data = Path(config.data)
    if not data.exists():
        raise DataError("The data folder is not there", received=data.resolve(), mend="Set TFVS_DATA to it")
    if not os.access(data, os.R_OK):
        raise DataError("The data folder cannot be read", received=data.resolve(), mend="Mend its permissions")
    if data.is_dir() and not any(data.iterdir()):
        raise DataError("The data folder is empty", received=data.resolve(), mend="Set TFVS_DATA to another")


def check_output(config: PipelineConfig) -> None:
    """Checks that the output folder can be written and that its disk has space.

    Raises:
      ConfigError: It is half a URI, or of an unknown scheme.
      ResourceError: It cannot be written, or its disk is full.
    """
    if not is_local(require_whole(config.runs_root)):
        probe_uri = config.location(".writable")
        with files.atomic_write(probe_uri):
            pass
        files.delete([probe_uri])
    try:
        config.root.mkdir(parents=True, exist_ok=True)
        probe = config.root / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
        free = shutil.disk_usage(config.root).free
    except OSError as error:
        raise ResourceError(
            f"The output folder cannot be written: {error}", received=config.root, mend="Set TFVS_RUNS_ROOT to another"
        ) from error
    if free < MINIMUM_FREE_BYTES:
        raise ResourceError(
            "The output folder's disk is full",
            expected=f">= {MINIMUM_FREE_BYTES:,} bytes",
            received=f"{free:,} bytes",
            mend="Free some space, or set TFVS_RUNS_ROOT to another disk; what is finished is used again",
        )


def count_images(config: PipelineConfig) -> dict[str, Counter[int]]:
    """Counts images by split and label, as the reader lists them.

    Raises:
      DataError: The folder has another layout.
      TooManyRejectedError: Too many entries of the list are wrong, for example their labels.
    """
    names = None if config.reader == "fivek" else config.class_names
    counts: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
    listed, rejected = 0, []
    for item in make_reader(config.reader, config.data, names).read():
        if isinstance(item, PassedOver):
            continue
        listed += 1
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        split = item.split or split_of(item.image_id, DEFAULT_SPLITS)
        counts.setdefault(split, Counter())[item.label] += 1
    if len(rejected) > MAX_REJECTED * listed:
        raise TooManyRejectedError(
            f"SaccadeExampleGen: {len(rejected)} of {listed} images cannot be listed",
            expected=f"at most {MAX_REJECTED:.0%}",
            received=f"first {rejected[0].uri}: {rejected[0].reason}",
            mend="Mend the list of images, or class_names of the pipeline",
        )
    return counts


def check_counts(config: PipelineConfig, counts: dict[str, Counter[int]]) -> None:
    """Checks that every split and every class has enough images.

    Raises:
      DataError: A split or a class has too few.
    """
    listed = sum(sum(labels.values()) for labels in counts.values())
    outside = sorted({label for labels in counts.values() for label in labels} - set(range(len(config.class_names))))
    if outside:
        raise DataError(
            "SaccadeExampleGen: labels outside the classes",
            expected=f"0 to {len(config.class_names) - 1}",
            received=outside[:10],
            mend="Mend the list of images, or class_names of the pipeline",
        )
    if not listed:
        raise DataError("SaccadeExampleGen: no images are listed", received=config.data, mend="Mend the list of images")
    for split, component in (("eval", "Trainer"), ("test", "Evaluator")):
        if not counts[split]:
            raise DataError(
                f"{component}: the split {split} has no images",
                expected=f"train, eval and test among {listed} images",
                received={name: sum(labels.values()) for name, labels in counts.items()},
                mend="Give more images, or say the split of each",
            )
    batch = TrainConfig.from_dict(config.train).batch_size
    training = counts["train"]
    check_batch(sum(training.values()), batch)
    scarce = {
        name: training[label]
        for label, name in enumerate(config.class_names)
        if training[label] < config.minimum_per_class
    }
    if scarce:
        raise DataError(
            "Trainer: too few training images of some classes",
            expected=f">= {config.minimum_per_class} of each",
            received=scarce,
            mend="Give more images, or set TFVS_MINIMUM_PER_CLASS",
        )
