"""Training of a saccader from records and tiles, shared by the Trainer and the Tuner."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from pipelines.config import CHECKPOINTS, PYRAMIDS, PipelineConfig
from tfvs.data.dataset import (
    balanced_class_weights,
    evaluation_dataset,
    find_files,
    read_labels,
    read_manifest,
    training_dataset,
)
from tfvs.errors import ConfigError, DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.pictures import SaccadePictures
from tfvs.training.strategy import make_strategy
from tfvs.training.trainer import TrainConfig, check_batch, train

PICTURES = 8
History = list[dict[str, float]]


def with_hyperparameters(config: PipelineConfig, hyperparameters: Mapping[str, Any]) -> PipelineConfig:
    """Puts the values of a trial into the configuration.

    Args:
      config: The pipeline's configuration.
      hyperparameters: ``"train.<field>"`` or ``"model.<field>"`` → value.

    Raises:
      ConfigError: A name has another form.
    """
    changed = {"train": dict(config.train), "model": dict(config.model)}
    for name, value in hyperparameters.items():
        part, _, field = name.partition(".")
        if part not in changed or not field:
            raise ConfigError("No such hyperparameter", expected="train.<field> or model.<field>", received=name)
        changed[part][field] = value
    return config.replace(**changed)


def folder_for(config: PipelineConfig, fn_args: Any) -> str:
    """The folder of checkpoints and logs, named after configuration, code and data.

    Executions that train the same share it, so that a stopped one resumes.

    Args:
      config: The configuration, hyperparameters included.
      fn_args: ``tfx.components.FnArgs``.
    """
    key = "\n".join([config.to_json(), fn_args.custom_config["code"], *fn_args.train_files, *fn_args.eval_files])
    return config.location(CHECKPOINTS, hashlib.sha256(key.encode()).hexdigest()[:16])


def fit_saccader(
    config: PipelineConfig,
    train_patterns: Sequence[str],
    eval_patterns: Sequence[str],
    *,
    folder: str,
    write: Callable[[str], None],
) -> tuple[VariationalSaccader, History]:
    """Trains a saccader, or resumes a training that was stopped.

    Args:
      config: The pipeline's configuration.
      train_patterns: Patterns of the record files to train on.
      eval_patterns: Patterns of the record files that are evaluated after each epoch.
      folder: A folder that later executions use again. ``checkpoints`` and ``logs`` (TensorBoard, ``history.csv``) lie
        below it.
      write: Called with each line of progress.

    Returns:
      The model, and the logs of the epochs that this call trained.

    Raises:
      DataError: There are labels outside the classes, or fewer images than one batch.
    """
    train_config = TrainConfig.from_dict(config.train)
    train_files, eval_files = find_files(train_patterns), find_files(eval_patterns)
    labels = read_labels(train_files)
    check_labels(labels, config, train_config.batch_size)
    proxy = read_manifest(train_files).proxy
    balanced = balanced_class_weights(labels, len(config.class_names))
    steps_in_data = len(labels) // train_config.batch_size
    steps_per_epoch = train_config.steps_per_epoch or steps_in_data
    logs = os.path.join(folder, "logs")

    strategy = make_strategy(train_config.num_devices)
    keras.utils.set_random_seed(train_config.seed)
    with strategy.scope():
        model = build_model(config, proxy, dtype="mixed_float16" if train_config.mixed_precision else None)
        history = train(
            model,
            lambda epoch: training_dataset(
                train_files,
                proxy,
                batch_size=train_config.batch_size,
                steps_per_epoch=steps_per_epoch,
                epochs=math.ceil(train_config.epochs * steps_per_epoch / steps_in_data),  # passes over the data
                initial_epoch=epoch,
                seed=train_config.seed,
                class_weights=balanced if train_config.balance_classes else None,
                class_rates=balanced if train_config.sample_classes_evenly else None,
            ),
            train_config,
            steps_per_epoch=steps_per_epoch,
            validation_data=evaluation_dataset(eval_files, proxy, batch_size=train_config.batch_size),
            checkpoint_dir=os.path.join(folder, "checkpoints"),
            log_dir=logs,
            callbacks=[SaccadePictures(logs, _pictured(eval_files, proxy))],
            write=write,
        )
    return model, history


def build_model(config: PipelineConfig, proxy: ProxyRecipe, *, dtype: str | None = None) -> VariationalSaccader:
    """Builds the saccader of a pipeline and its weights.

    Args:
      config: The pipeline's configuration.
      proxy: The recipe of the proxies.
      dtype: Keras dtype policy; None for float32.
    """
    model = VariationalSaccader(
        num_classes=len(config.class_names), pyramid_roots=(config.location(PYRAMIDS),), dtype=dtype, **config.model
    )
    model.build(
        {
            "proxy": (None, *proxy.shape),
            "image": (None, None, None, config.image_bands),
        }
    )
    return model


def _pictured(files: Sequence[str], proxy: ProxyRecipe) -> dict[str, Any]:
    """Inputs of the first evaluation images, for the pictures in TensorBoard."""
    inputs, _, weights = next(iter(evaluation_dataset(files, proxy, batch_size=PICTURES, limit=PICTURES)))
    return {name: value[weights > 0] for name, value in inputs.items()}


def check_labels(labels: np.ndarray, config: PipelineConfig, batch_size: int) -> None:
    """Checks that labels are of the classes, and that there are enough for a batch.

    Raises:
      DataError: They are not.
    """
    classes = len(config.class_names)
    outside = sorted({int(label) for label in labels if not 0 <= label < classes})
    if outside:
        raise DataError(
            "Trainer: labels outside the classes",
            expected=f"0 to {classes - 1}",
            received=outside[:10],
            mend="Mend the manifest, or class_names of the pipeline",
        )
    check_batch(len(labels), batch_size)
