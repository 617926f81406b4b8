"""Reading before looking: a stage in which looks follow the prior, and only what reads them learns."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tfvs.models.saccader import VariationalSaccader
from tfvs.training.trainer import TrainConfig

R = TypeVar("R")
READ = "read"


def read_first(
    model: VariationalSaccader,
    config: TrainConfig,
    folder: str,
    fit: Callable[[VariationalSaccader, TrainConfig, str], R],
) -> tuple[VariationalSaccader, R]:
    """Trains a saccader in two stages if its configuration asks for reading epochs, else in one.

    Places are learned from what each look contributes to the answer. Before what reads the looks knows one thing from
    another, that says nothing, and the map of places may move away from where things are.

    Args:
      model: Built.
      config: How to train; ``reading_epochs`` and ``reading_looks`` are of the first stage.
      folder: Gets checkpoints and logs; those of the first stage lie in ``read`` below it.
      fit: Trains a model, or goes on where training stopped: model, configuration of a stage, folder of the stage.

    Returns:
      The trained model, and what ``fit`` returned of the last stage.

    Raises:
      ConfigError: There are reading epochs, and the model has no prior over cells.
    """
    if config.reading_epochs:
        model = read(model, config, folder, fit)
    return model, fit(model, looking_stage(config), folder)


def read(
    model: VariationalSaccader,
    config: TrainConfig,
    folder: str,
    fit: Callable[[VariationalSaccader, TrainConfig, str], R],
) -> VariationalSaccader:
    """The first stage alone: looks follow the prior, and only what reads them learns; see :func:`read_first`."""
    reads = {"looks_from_prior": True, "num_steps": config.reading_looks or model.config.num_steps}
    return fit_as(model, reads, lambda reader: fit(reader, reading_stage(config), os.path.join(folder, READ)))


def reading_stage(config: TrainConfig) -> TrainConfig:
    """How the first stage trains: for ``reading_epochs``, or as many as the second where they are 0.

    Its weights are those of its last step: an average is for what training leaves in the end.
    """
    return looking_stage(config).replace(epochs=config.reading_epochs or config.epochs, average_weights=None)


def looking_stage(config: TrainConfig) -> TrainConfig:
    """How the second stage trains: as the configuration says, without what it says of the first."""
    return config.replace(reading_epochs=0, reading_looks=None)


def fit_as(
    model: VariationalSaccader, fields: Mapping[str, Any], fit: Callable[[VariationalSaccader], object]
) -> VariationalSaccader:
    """Trains a saccader with other fields of its configuration, and gives it its own again.

    Args:
      model: Built.
      fields: What is different while it trains, see :meth:`VariationalSaccader.adapted`.
      fit: Trains the model that it is given.

    Returns:
      The trained model, with its own fields.
    """
    own = {name: getattr(model.config, name) for name in fields}
    changed = model.adapted(**fields)
    fit(changed)
    return changed.adapted(**own)
