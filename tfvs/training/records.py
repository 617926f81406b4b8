"""Training of a saccader from records and tiles: what ``tfvs train`` and the TFX Trainer share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfvs.data.dataset import Share, balanced_class_weights, evaluation_dataset, read_labels, training_dataset
from tfvs.errors import DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.hosts import by_files
from tfvs.training.pictures import SaccadePictures
from tfvs.training.reading import read_first
from tfvs.training.strategy import make_strategy
from tfvs.training.trainer import TrainConfig, check_batch, train

CHECKPOINTS, LOGS = "checkpoints", "logs"
PICTURES = 8
History = list[dict[str, float]]


def fit_records(
    make_model: Callable[[str | None], VariationalSaccader],
    train_files: Sequence[str],
    eval_files: Sequence[str],
    proxy: ProxyRecipe,
    num_classes: int,
    config: TrainConfig,
    *,
    folder: str,
    write: Callable[[str], None],
) -> tuple[VariationalSaccader, History]:
    """Trains a saccader, or resumes a training that was stopped.

    Args:
      make_model: Makes a built model; its argument is a Keras dtype policy, None for float32.
      train_files: Record files to train on.
      eval_files: Record files that are evaluated after each epoch; may be empty.
      proxy: Recipe of the proxies.
      num_classes: K.
      config: How to train.
      folder: A folder that the same training uses again when it is started anew. ``checkpoints`` and ``logs``
        (TensorBoard, ``history.csv``) lie below it.
      write: Called with each line of progress.

    Returns:
      The model, and the logs of the epochs that this call trained.

    Raises:
      ConfigError: There are reading epochs, and the model has no prior over cells.
      DataError: There are labels outside the classes, or fewer images than one batch.
    """
    strategy = make_strategy(config.num_devices)  # several hosts find each other before TensorFlow computes anything
    labels = read_labels(train_files)
    check_labels(labels, num_classes, config.batch_size)
    balanced = balanced_class_weights(labels, num_classes)
    steps_in_data = len(labels) // config.batch_size
    steps_per_epoch = config.steps_per_epoch or steps_in_data
    keras.utils.set_random_seed(config.seed)

    def fit(model: VariationalSaccader, stage: TrainConfig, place: str) -> History:
        logs = os.path.join(place, LOGS)
        return train(
            model,
            lambda epoch: by_files(
                strategy,
                lambda host, hosts, devices: training_dataset(
                    train_files,
                    proxy,
                    batch_size=stage.batch_size,
                    steps_per_epoch=steps_per_epoch,
                    epochs=math.ceil(stage.epochs * steps_per_epoch / steps_in_data),  # passes over the data
                    initial_epoch=epoch,
                    seed=stage.seed,
                    class_weights=balanced if stage.balance_classes else None,
                    class_rates=balanced if stage.sample_classes_evenly else None,
                    share=Share(host, hosts, devices),
                ),
            ),
            stage,
            steps_per_epoch=steps_per_epoch,
            validation_data=evaluation_dataset(eval_files, proxy, batch_size=stage.batch_size) if eval_files else None,
            checkpoint_dir=os.path.join(place, CHECKPOINTS),
            log_dir=logs,
            callbacks=[SaccadePictures(logs, _pictured(eval_files or train_files, proxy))],
            write=write,
        )

    with strategy.scope():
        model = make_model("mixed_float16" if config.mixed_precision else None)
        return read_first(model, config, folder, fit)


def check_labels(labels: np.ndarray, num_classes: int, batch_size: int) -> None:
    """Checks that a model can learn from labels.

    Args:
      labels: ``[N]`` int64.
      num_classes: K.
      batch_size: Number of images per training batch.

    Raises:
      DataError: There are labels outside the classes, or fewer images than one batch.
    """
    outside = sorted({int(label) for label in labels if not 0 <= label < num_classes})
    if outside:
        raise DataError(
            "Trainer: labels outside the classes",
            expected=f"0 to {num_classes - 1}",
            received=outside[:10],
            mend="Mend the list of images or the names of the classes; images without a label cannot be trained on",
        )
    check_batch(len(labels), batch_size)


def _pictured(files: Sequence[str], proxy: ProxyRecipe) -> dict[str, Any]:
    """Inputs of the first images, for the pictures in TensorBoard."""
    inputs, _, weights = next(iter(evaluation_dataset(files, proxy, batch_size=PICTURES, limit=PICTURES)))
    return {name: value[weights > 0] for name, value in inputs.items()}
