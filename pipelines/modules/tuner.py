"""``tuner_fn`` of the Tuner: KerasTuner over the learning rate and the weights of the bound."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras_tuner
from tfx.components.tuner.component import TunerFnResult

from pipelines.config import PipelineConfig
from pipelines.modules.fitting import fit_saccader, folder_for, with_hyperparameters
from pipelines.modules.trainer import write_line

OBJECTIVE = "val_accuracy"


def search_space(model: Mapping[str, Any] | None = None) -> keras_tuner.HyperParameters:
    """The search space. The first trial uses its default values.

    Args:
      model: Fields of the model that the pipeline sets. A model without a decoder is not given one.
    """
    space = keras_tuner.HyperParameters()
    space.Float("train.learning_rate", 5e-4, 5e-3, sampling="log", default=2e-3)
    space.Float("model.kl_weight", 1e-4, 1e-1, sampling="log", default=1e-3)
    if (model or {}).get("reconstruction_weight") != 0:
        space.Float("model.reconstruction_weight", 1e-4, 1e-1, sampling="log", default=1e-3)
    return space


class SaccaderTuner(keras_tuner.Tuner):
    """Trains one saccader per trial for ``tuner_epochs``; a stopped search resumes, also within a trial.

    Args:
      config: The pipeline's configuration.
      fn_args: ``tfx.components.FnArgs``.
      **options: Arguments of :class:`keras_tuner.Tuner`.
    """

    def __init__(self, config: PipelineConfig, fn_args: Any, **options: Any) -> None:
        super().__init__(**options)
        self._config, self._fn_args = config, fn_args

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Trains one trial; KerasTuner calls this method.

        Args:
          trial: The trial, with the values to try.

        Returns:
          The best accuracy on the evaluation split.
        """
        epochs = {"train.epochs": self._config.tuner_epochs}
        config = with_hyperparameters(self._config, {**trial.hyperparameters.values, **epochs})
        write_line(f"trial {trial.trial_id}: {trial.hyperparameters.values}")
        args = self._fn_args
        _, history = fit_saccader(
            config, args.train_files, args.eval_files, folder=folder_for(config, args), write=write_line
        )
        return {OBJECTIVE: max((epoch[OBJECTIVE] for epoch in history), default=0.0)}


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Makes the tuner; TFX calls this function.

    Args:
      fn_args: ``tfx.components.FnArgs``.
    """
    config = PipelineConfig.from_json(fn_args.custom_config["config"])
    tuner = SaccaderTuner(
        config,
        fn_args,
        oracle=keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=config.tuner_trials,
            seed=config.train.get("seed", 0),
            hyperparameters=search_space(config.model),
            tune_new_entries=False,
        ),
        directory=os.path.dirname(folder_for(config, fn_args)),
        project_name=f"tuner-{os.path.basename(folder_for(config, fn_args))}",
    )
    return TunerFnResult(tuner=tuner, fit_kwargs={})
