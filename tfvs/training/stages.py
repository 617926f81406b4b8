"""Training in stages on pasted batches: first what reads the crops, then where to look."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import Config, option
from tfvs.data.pasting import FieldConfig, PastedBatches
from tfvs.errors import ConfigError
from tfvs.images.cut_outs import PasteBank, PasteConfig
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.saccader import VariationalSaccader
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.training.reading import fit_as, looking_stage, reading_stage
from tfvs.training.trainer import TrainConfig, train

TRAINING_LOOKS, TRAINING_CROPS = 6, 8  # at most
READING_FIELD_CELLS = 3
STEPS_PER_EPOCH = 100


@dataclasses.dataclass(frozen=True)
class Stage(Config):
    """A part of training."""

    name: str = option(help="Name of its folder of checkpoints and logs.")
    train: TrainConfig = option(
        help="How it trains; ``steps_per_epoch`` None means 100, since pasted batches never end."
    )
    field: FieldConfig = option(help="What may be looked at, by the step.")
    model: dict[str, Any] = option(dict, "Fields of the model's configuration that are different while it lasts.")

    @property
    def steps_per_epoch(self) -> int:
        """Steps between two checkpoints."""
        return self.train.steps_per_epoch or STEPS_PER_EPOCH


def read_then_look(model: SaccaderConfig, train_config: TrainConfig) -> tuple[Stage, Stage]:
    """Two stages for small things: one look at a small field around a paste, then many looks at a field that grows.

    In the first, looks are drawn from the prior in a field of 3 × 3 cells, and what reads the crops learns. In the
    second, the field grows from 9 cells to all of the image in the middle third of the steps, and the places are
    learned as well, with 6 looks, or as many as make 8 crops where a look has several.

    Args:
      model: What is trained. Looks of several scales have but the first in the first stage, which shows what is pasted
        best.
      train_config: How the second stage trains. The first has ``reading_epochs``, or as many as the second where they
        are 0, whose steps cost a third; ``reading_looks``, or one; batches of twice as many images; one learning rate
        for all weights; and no average of them.

    Raises:
      ConfigError: The model has no map of cells.
    """
    if model.cells is None:
        raise ConfigError("The field of view is a part of a map of cells", expected="model.cells", received=None)
    cells, widest = model.cells, max(model.cells)
    steps = train_config.epochs * (train_config.steps_per_epoch or STEPS_PER_EPOCH)
    near = FieldConfig(cells=cells, start_cells=min(READING_FIELD_CELLS, widest), grow_steps=0)
    grows = FieldConfig(cells=cells, start_cells=min(9, widest), hold_steps=steps // 16, grow_steps=max(steps // 3, 1))
    reads = reading_stage(train_config).replace(batch_size=2 * train_config.batch_size, group_rates={})
    reader = {"num_steps": train_config.reading_looks or 1, "looks_from_prior": True, "scales": model.scales[:1]}
    looks = max(min(TRAINING_LOOKS, TRAINING_CROPS // len(model.scales)), 1)
    return (
        Stage("read", reads, near, reader),
        Stage("look", looking_stage(train_config), grows, {"num_steps": looks}),
    )


def fit_stage(
    model: keras.Model,
    stage: Stage,
    *,
    files: Sequence[str],
    proxy: ProxyRecipe,
    bank: PasteBank,
    pastes: PasteConfig | None = None,
    folder: str,
    validation_data: tf.data.Dataset | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    write: Callable[[str], None] = print,
) -> list[dict[str, float]]:
    """Trains a built model on pasted batches, or goes on where training stopped.

    Args:
      model: Built; its ``compute_loss`` is its own.
      stage: How.
      files: Record files of the images for training.
      proxy: Recipe of their proxies.
      bank: What is pasted.
      pastes: How it is pasted; None for the defaults.
      folder: Gets a folder of checkpoints and logs, named after the stage.
      validation_data: Evaluated after each epoch.
      callbacks: Further callbacks.
      write: Takes lines of progress.

    Returns:
      See :func:`tfvs.training.trainer.train`.
    """
    batches = PastedBatches(
        files, proxy, bank, pastes or PasteConfig(), stage.field, stage.train.batch_size, stage.train.seed
    )
    steps = stage.steps_per_epoch
    return train(
        model,
        lambda epoch: batches.dataset(epoch * steps, stage.train.epochs * steps),
        stage.train,
        steps_per_epoch=steps,
        validation_data=validation_data,
        checkpoint_dir=os.path.join(folder, stage.name, "checkpoints"),
        log_dir=os.path.join(folder, stage.name, "logs"),
        callbacks=callbacks,
        write=lambda line: write(f"{stage.name}: {line}"),
    )


def fit_stages(
    config: SaccaderConfig,
    stages: Sequence[Stage],
    *,
    files: Sequence[str],
    proxy: ProxyRecipe,
    validation_data: tf.data.Dataset | None = None,
    **options: Any,
) -> VariationalSaccader:
    """Trains a saccader in stages, or goes on where training stopped.

    Args:
      config: The model that comes out.
      stages: In order; weights go from each to the next.
      files: See :func:`fit_stage`.
      proxy: See :func:`fit_stage`.
      validation_data: Evaluated after each epoch of the last stage.
      **options: Further arguments of :func:`fit_stage`.

    Returns:
      The trained model.

    Raises:
      ConfigError: There are no stages.
      TrainingError: A term of the loss is no longer finite.
    """
    if not stages:
        raise ConfigError("There is nothing to train", expected="at least one stage", received=stages)
    keras.utils.set_random_seed(stages[0].train.seed)
    model = VariationalSaccader(config)
    model.build({"proxy": (None, *proxy.shape), "image": (None, None, None, config.channels or proxy.channels)})
    for stage in stages:
        shown = validation_data if stage is stages[-1] else None
        fit = partial(fit_stage, stage=stage, files=files, proxy=proxy, validation_data=shown, **options)
        model = fit_as(model, stage.model, fit)
    return model
