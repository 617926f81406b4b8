"""Training of a saccader from records and tiles, shared by the Trainer and the Tuner."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.config import CHECKPOINTS, PYRAMIDS, PipelineConfig
from tfvs.data.dataset import find_files, read_manifest
from tfvs.errors import ConfigError
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.records import History, fit_records
from tfvs.training.trainer import TrainConfig


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
    train_files = find_files(train_patterns)
    proxy = read_manifest(train_files).proxy
    return fit_records(
        lambda dtype: build_model(config, proxy, dtype=dtype),
        train_files,
        find_files(eval_patterns),
        proxy,
        len(config.class_names),
        TrainConfig.from_dict(config.train),
        folder=folder,
        write=write,
    )


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
