"""``run_fn`` of a Trainer that pastes signs into street photographs, and trains in stages."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines.config import PipelineConfig
from pipelines.modules.trainer import copy_folder, train_and_export
from pipelines.preflight import saccader_config
from tfvs.data.dataset import evaluation_dataset, find_files, read_labels, read_manifest, read_records
from tfvs.data.example import from_example
from tfvs.datasets.gtsdb_cut_outs import PASTES, make_bank
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.records import check_labels
from tfvs.training.stages import fit_stages, read_then_look
from tfvs.training.trainer import TrainConfig


def run_fn(fn_args: Any) -> None:
    """Trains the saccader with pasted signs and exports it; TFX calls this function.

    Args:
      fn_args: ``tfx.components.FnArgs``.
    """
    train_and_export(fn_args, fit_with_signs)


def fit_with_signs(
    config: PipelineConfig,
    train_patterns: Sequence[str],
    eval_patterns: Sequence[str],
    *,
    folder: str,
    write: Callable[[str], None],
) -> tuple[VariationalSaccader, None]:
    """Trains as :func:`pipelines.modules.fitting.fit_saccader` does, in two stages on scenes with pasted signs.

    The signs are cut out of the photographs for training in the pipeline's data folder, by their boxes.

    Args:
      config: The pipeline's configuration; ``train`` says how the second stage trains.
      train_patterns: Patterns of the record files to train on.
      eval_patterns: Patterns of the record files that are evaluated after each epoch of the second stage.
      folder: A folder that later executions use again.
      write: Called with each line of progress.

    Returns:
      The model, and None.

    Raises:
      ConfigError: The model has no map of cells.
      DataError: There are labels outside the classes, or a photograph is not there.
    """
    train_config, model_config = TrainConfig.from_dict(config.train), saccader_config(config)
    stages = read_then_look(model_config, train_config)
    files, eval_files = find_files(train_patterns), find_files(eval_patterns)
    check_labels(read_labels(files), len(config.class_names), train_config.batch_size)
    proxy = read_manifest(files).proxy
    records = read_records(files).as_numpy_iterator()
    ids = [from_example(tf.train.Example.FromString(record)).image_id for record in records]
    model = fit_stages(
        model_config,
        stages,
        files=files,
        proxy=proxy,
        bank=make_bank(Path(config.data), ids, config.class_names),
        pastes=PASTES,
        folder=folder,
        validation_data=evaluation_dataset(eval_files, proxy, batch_size=train_config.batch_size),
        write=write,
    )
    copy_folder(os.path.join(folder, stages[-1].name, "logs"), os.path.join(folder, "logs"))
    return model, None
