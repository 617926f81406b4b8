"""One trainer for every model of tfvs: the saccader and its baselines alike."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfvs.config import Config, option, require
from tfvs.errors import DataError
from tfvs.images.crops.remote import told_plainly
from tfvs.storage.tiles import lost_images
from tfvs.training.callbacks import EpochTable, StopOnNonFinite, ZoomSchedule
from tfvs.training.checkpointing import ResumableCheckpoint
from tfvs.training.hosts import by_records, ends_with_others, host_index
from tfvs.training.optimizer import ClippedAdam


@dataclasses.dataclass(frozen=True)
class TrainConfig(Config):
    """Options of training."""

    epochs: int = option(
        10,
        "Number of passes over the data, or of stretches of ``steps_per_epoch``.",
        at_least=1,
    )
    reading_epochs: int = option(
        0,
        "Number of epochs before, in which looks follow the prior and only what reads them learns: until then, what a "
        "look contributes says nothing about where to look. For the categorical posterior.",
        at_least=0,
    )
    reading_looks: int | None = option(
        None,
        "Looks per image in these; None for the model's own number.",
        at_least=1,
    )
    steps_per_epoch: int | None = option(
        None,
        "Optimizer steps between two evaluations and checkpoints; None for one pass over the data.",
        at_least=1,
    )
    batch_size: int = option(
        64,
        "Images per batch, over all devices together.",
        at_least=1,
    )
    learning_rate: float = option(
        2e-3,
        "Largest learning rate: it rises linearly, then falls to 0 by a cosine.",
        above=0,
    )
    warmup_steps: int = option(
        100,
        "Number of steps until the learning rate is largest.",
        at_least=0,
    )
    clip_norm: float = option(
        1.0,
        "Largest norm of all gradients together; larger ones are scaled down to it.",
        above=0,
    )
    group_rates: dict[str, float] = option(
        dict,
        "Factors on the learning rate of variables whose path contains a name, see "
        ":class:`tfvs.training.optimizer.ClippedAdam`.",
        at_least=0,
    )
    average_weights: float | None = option(
        None,
        "Momentum of a moving average of the weights over the steps, such as 0.99: it is what is evaluated, and what "
        "training leaves in the model. None for the last step's weights.",
        above=0,
        below=1,
    )
    zoom_from: float | None = option(
        None,
        "Widest crop at the beginning, as a fraction of the image's shorter side; None for the model's own, unchanged.",
        above=0,
        at_most=1,
    )
    zoom_to: float | None = option(
        None,
        "Widest crop at the end, likewise.",
        above=0,
        at_most=1,
    )
    zoom_start: float = option(
        0.1,
        "Fraction of training at which narrowing begins.",
        at_least=0,
        at_most=1,
    )
    zoom_stop: float = option(
        0.6,
        "Fraction of training at which it ends.",
        at_least=0,
        at_most=1,
    )
    balance_classes: bool = option(
        False,
        "Whether the loss is weighted by inverse class frequency.",
    )
    sample_classes_evenly: bool = option(
        False,
        "Draw training images with replacement, each with 1 over the frequency of its class.",
    )
    mixed_precision: bool = option(
        False,
        "Whether to compute in float16 with float32 variables, for GPUs.",
    )
    num_devices: int | None = option(
        None,
        "Number of devices, see :func:`tfvs.training.strategy.make_strategy`.",
        at_least=1,
    )
    seed: int = option(
        0,
        "Seed of the weights, order and samples.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        both = (self.zoom_from is None) == (self.zoom_to is None)
        require(
            both, "A zoom needs both ends", expected="zoom_from and zoom_to", received=(self.zoom_from, self.zoom_to)
        )
        if self.zoom_from is not None and self.zoom_to is not None:
            require(
                self.zoom_to <= self.zoom_from,
                "A zoom narrows",
                expected="zoom_to <= zoom_from",
                received=(self.zoom_from, self.zoom_to),
            )
        require(
            self.zoom_start <= self.zoom_stop,
            "The zoom's fractions are out of order",
            expected="zoom_start <= zoom_stop",
            received=(self.zoom_start, self.zoom_stop),
        )
        require(
            not (self.balance_classes and self.sample_classes_evenly),
            "Classes would be balanced twice",
            expected="balance_classes or sample_classes_evenly",
            received="both",
        )
        devices = self.num_devices or 1
        require(
            self.batch_size % devices == 0,
            "The global batch does not divide among the devices",
            expected=f"a multiple of {devices}",
            received=self.batch_size,
        )


def check_batch(images: int, batch_size: int) -> None:
    """Checks that there are enough images to train on.

    Args:
      images: Number of training images.
      batch_size: Images per batch.

    Raises:
      DataError: They do not fill one batch.
    """
    if images < batch_size:
        raise DataError(
            "Trainer: fewer training images than one batch",
            expected=f">= {batch_size}",
            received=images,
            mend="Give more images, or a smaller train.batch_size",
        )


def make_optimizer(config: TrainConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Adam with linear warm-up and cosine decay to 0, clipped by global norm; it averages weights where asked to."""
    warmup = min(config.warmup_steps, max(1, total_steps // 5))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 100,
        decay_steps=max(1, total_steps - warmup),
        warmup_target=config.learning_rate,
        warmup_steps=warmup,
    )
    average = {} if config.average_weights is None else {"use_ema": True, "ema_momentum": config.average_weights}
    return ClippedAdam(schedule, clip_norm=config.clip_norm, group_rates=config.group_rates, **average)


def configured_callbacks(config: TrainConfig, total_steps: int) -> list[keras.callbacks.Callback]:
    """What narrows the looks and what evaluates the averaged weights, where the configuration asks for them."""
    callbacks: list[keras.callbacks.Callback] = []
    if config.zoom_from is not None and config.zoom_to is not None:
        callbacks.append(
            ZoomSchedule(
                start_scale=config.zoom_from,
                stop_scale=config.zoom_to,
                start_step=math.floor(config.zoom_start * total_steps),
                stop_step=math.ceil(config.zoom_stop * total_steps),
            )
        )
    if config.average_weights is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    return callbacks


class ProgressLine(keras.callbacks.Callback):
    """Writes one line per epoch, short enough for a log and for a terminal."""

    def __init__(self, epochs: int, write: Callable[[str], None]) -> None:
        super().__init__()
        self._epochs, self._write, self._started = epochs, write, time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls it."""
        shown = [f"{name} {value:.3f}" for name, value in (logs or {}).items() if name in _SHOWN]
        elapsed = time.monotonic() - self._started
        self._write(f"epoch {epoch + 1}/{self._epochs}  {'  '.join(shown)}  ({elapsed:.0f} s)")


_SHOWN = ("loss", "accuracy", "val_accuracy", "val_loss", "kl")


def train(
    model: keras.Model,
    make_dataset: Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset],
    config: TrainConfig,
    *,
    steps_per_epoch: int,
    validation_data: tf.data.Dataset | None = None,
    checkpoint_dir: str,
    log_dir: str,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    write: Callable[[str], None] = print,
) -> list[dict[str, float]]:
    """Trains a built model, or goes on where training stopped.

    Call it inside the scope of the strategy in which the model was built. Where several hosts train together, all of
    them call it with the same arguments on a file system that they share; only the first one writes logs.

    Args:
      model: Built, not compiled. ``compute_loss`` is its own.
      make_dataset: From the first epoch to train, the dataset from there to the end. Of several hosts each takes its
        share of every batch, unless :func:`tfvs.training.hosts.by_files` made it.
      config: How to train.
      steps_per_epoch: Whole batches in an epoch.
      validation_data: Evaluated after each epoch.
      checkpoint_dir: A stable folder; see :class:`ResumableCheckpoint`.
      log_dir: For TensorBoard and ``history.csv``.
      callbacks: More of them, on the first host.
      write: Where progress lines go.

    Returns:
      What ``fit`` logged in the epochs trained now, one dict per epoch.

    Raises:
      ConfigError: ``config`` has reading epochs: they are a stage of their own.
      ResourceError: Object storage refuses what is asked for, or its tiles cannot be kept here.
      TrainingError: A term of the loss is no longer finite, or another host has ended.
    """
    require(
        config.reading_epochs == 0,
        "Reading first is a stage of its own",
        expected="reading_epochs=0",
        received=config.reading_epochs,
        mend="Call train for each stage, as tfvs.training.reading.read_first does",
    )
    total_steps = config.epochs * steps_per_epoch
    model.compile(
        optimizer=make_optimizer(config, total_steps),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    host = host_index()
    own_dir = os.path.join(checkpoint_dir, f"host-{host}") if host else None
    checkpoint = ResumableCheckpoint(checkpoint_dir, write_directory=own_dir)
    initial_epoch = checkpoint.restore(model)
    if initial_epoch:
        write(f"resuming after epoch {initial_epoch}/{config.epochs}")
    if initial_epoch >= config.epochs:
        # Checkpoints hold the last step's weights and their average; Keras' fit ends with the average in the model.
        model.optimizer.finalize_variable_values(model.trainable_variables)
        return []
    tf.io.gfile.makedirs(log_dir)
    all_callbacks = [StopOnNonFinite(), *configured_callbacks(config, total_steps)]
    if host == 0:
        all_callbacks += [
            *callbacks,
            keras.callbacks.TensorBoard(log_dir, write_graph=False),
            EpochTable(os.path.join(log_dir, "history.csv"), append=initial_epoch > 0),
            ProgressLine(config.epochs, write),
        ]
    all_callbacks.append(checkpoint)
    dataset = make_dataset(initial_epoch)
    with ends_with_others(), told_plainly():
        history = model.fit(
            by_records(dataset) if isinstance(dataset, tf.data.Dataset) else dataset,
            initial_epoch=initial_epoch,
            epochs=config.epochs,
            steps_per_epoch=steps_per_epoch,
            validation_data=None if validation_data is None else by_records(validation_data),
            callbacks=all_callbacks,
            verbose=0,
        )
    if lost := lost_images():
        uri, why = next(iter(lost.items()))
        write(f"warning: images that could not be read and were left out: {len(lost)}, the first {uri}: {why}")
    logs = history.history
    return [{name: float(values[i]) for name, values in logs.items()} for i in range(len(history.epoch))]
