"""``run_fn`` of the Trainer: trains from records and tiles and exports a SavedModel."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from pipelines.config import PYRAMIDS, PipelineConfig
from pipelines.modules.fitting import fit_saccader, folder_for, with_hyperparameters
from tfvs.data.dataset import evaluation_dataset, find_files, read_manifest
from tfvs.evaluation.temperature import temperature_of
from tfvs.export.saving import export_saved_model
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.hosts import host_index
from tfvs.training.trainer import TrainConfig

MODEL_FILE = "model.keras"


def run_fn(fn_args: Any) -> None:
    """Trains the saccader and exports it; TFX calls this function.

    A stopped run resumes: checkpoints and logs lie in a folder that is named after configuration, code and data, and
    that later executions use again.

    Args:
      fn_args: ``tfx.components.FnArgs``; with the Tuner's best hyperparameters where there is a Tuner.

    Raises:
      DataError: There are labels outside the classes, or fewer images than one batch.
    """
    train_and_export(fn_args, fit_saccader)


def train_and_export(fn_args: Any, fit: Callable[..., tuple[VariationalSaccader, Any]]) -> None:
    """Trains a saccader in some way, and exports it.

    Args:
      fn_args: ``tfx.components.FnArgs``.
      fit: Trains as :func:`pipelines.modules.fitting.fit_saccader` does, with its arguments.
    """
    with _log_level_kept():
        _train_and_export(fn_args, fit)


def _train_and_export(fn_args: Any, fit: Callable[..., tuple[VariationalSaccader, Any]]) -> None:
    config = PipelineConfig.from_json(fn_args.custom_config["config"])
    config = with_hyperparameters(config, (fn_args.hyperparameters or {}).get("values", {}))
    folder = folder_for(config, fn_args)
    model, _ = fit(config, fn_args.train_files, fn_args.eval_files, folder=folder, write=write_line)
    if host_index():
        return  # only the first host writes
    copy_folder(os.path.join(folder, "logs"), fn_args.model_run_dir)
    records = read_manifest(find_files(fn_args.train_files))
    model.compile()  # without the optimizer, so that the file can be loaded where tfvs.training is not imported
    model.save(os.path.join(fn_args.model_run_dir, MODEL_FILE))
    batch_size = TrainConfig.from_dict(config.train).batch_size
    temperature = temperature_of(
        model, evaluation_dataset(find_files(fn_args.eval_files), records.proxy, batch_size=batch_size)
    )
    write_line(str(temperature))
    export_saved_model(
        model,
        fn_args.serving_model_dir,
        class_names=config.class_names,
        proxy=records.proxy,
        dtype=records.dtype,
        max_side_px=records.max_side_px,
        conversion=records.conversion,
        image_roots=[config.location(PYRAMIDS)],
        temperature=temperature.value,
    )


@contextmanager
def _log_level_kept() -> Iterator[None]:
    """Restores the level of absl's log, which an export raises: TFX announces its components there."""
    logger = logging.getLogger("absl")
    level = logger.level
    try:
        yield
    finally:
        logger.setLevel(level)


def copy_folder(source: str, destination: str) -> None:
    """Copies a folder, on any file system that TensorFlow supports."""
    for folder, _, names in tf.io.gfile.walk(source):
        target = os.path.join(destination, os.path.relpath(folder, source))
        tf.io.gfile.makedirs(target)
        for name in names:
            tf.io.gfile.copy(os.path.join(folder, name), os.path.join(target, name), overwrite=True)


def write_line(line: str) -> None:
    """Prints a line of progress, which ``make run`` shows."""
    print(f"tfvs: {line}", flush=True)
