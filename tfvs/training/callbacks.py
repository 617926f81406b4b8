"""Callbacks: the zoom schedule, the table of epochs, and a stop where the loss is no longer finite."""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras

from tfvs.config import require
from tfvs.errors import InputError, TrainingError


def _steps_done(model: keras.Model) -> int:
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


class EpochTable(keras.callbacks.CSVLogger):
    """Keras' table of epochs, in object storage as well.

    Keras asks a file at the end whether it is closed, which TensorFlow's files do not say: training on ``gs://`` or
    ``s3://`` ended with an AttributeError after its last epoch.
    """

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Keras calls it."""
        file = getattr(self, "csv_file", None)  # type checkers cannot tell its type
        if file is not None:
            file.close()
        self.csv_file = self.writer = None


class ZoomSchedule(keras.callbacks.Callback):
    """Narrows the widest crop while training, linearly in the optimizer's steps.

    A model that may start with wide crops learns where to look in a few epochs; one held to small crops from the start
    does not. The step counted is the optimizer's, so training that resumes goes on where it was.

    Args:
      start_scale: Widest crop until ``start_step``, as a fraction of the image's shorter side.
      stop_scale: Widest crop from ``stop_step`` on.
      start_step: Where narrowing begins.
      stop_step: Where it ends.

    Raises:
      ConfigError: Scales outside (0, 1], or steps out of order.
    """

    def __init__(self, *, start_scale: float, stop_scale: float, start_step: int, stop_step: int) -> None:
        super().__init__()
        for name, scale in (("start_scale", start_scale), ("stop_scale", stop_scale)):
            require(0.0 < scale <= 1.0, f"{name} cannot be used", expected=f"0 < {name} <= 1", received=scale)
        require(
            0 <= start_step <= stop_step,
            "The zoom's steps are out of order",
            expected="0 <= start_step <= stop_step",
            received=(start_step, stop_step),
        )
        self.start_scale, self.stop_scale = start_scale, stop_scale
        self.start_step, self.stop_step = start_step, stop_step

    def scale(self, step: int) -> float:
        """The widest crop at a step, as a fraction of the image's shorter side."""
        span = self.stop_step - self.start_step
        progress = (step - self.start_step) / span if span else float(step >= self.stop_step)
        return self.start_scale + (self.stop_scale - self.start_scale) * min(max(progress, 0.0), 1.0)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Keras calls it.

        Raises:
          InputError: A model without crops to narrow, or one whose smallest crop is wider than the schedule's last.
        """
        if not hasattr(self.model, "max_scale"):
            raise InputError(
                "There are no crops to narrow", expected="a model with max_scale", received=type(self.model).__name__
            )
        smallest = self.model.config.min_scale
        if min(self.start_scale, self.stop_scale) < smallest:
            raise InputError(
                "The schedule goes below the model's smallest crop",
                expected=f"start_scale and stop_scale of at least min_scale = {smallest}",
                received=(self.start_scale, self.stop_scale),
            )
        if max(self.start_scale, self.stop_scale) > self.model.config.max_scale:
            raise InputError(
                "The schedule goes above the model's largest crop",
                expected=f"start_scale and stop_scale of at most max_scale = {self.model.config.max_scale}",
                received=(self.start_scale, self.stop_scale),
            )
        self._assign()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keras calls it."""
        self._assign()

    def _assign(self) -> None:
        self.model.max_scale.assign(self.scale(_steps_done(self.model)))


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training as soon as a term of the loss is not finite, with the step and the term."""

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keras calls it.

        Raises:
          TrainingError: A term is not finite.
        """
        broken = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if broken:
            terms = [name for name in broken if name != "loss"] or broken
            raise TrainingError(
                f"Training stopped at step {_steps_done(self.model)}: {', '.join(terms)} is no longer finite",
                expected="finite terms",
                received={name: float(logs[name]) for name in terms} if logs else None,
                mend="Lower the learning rate, clip gradients, or look for broken images in this batch",
            )
