"""Checkpoints that survive ``kill -9`` at any moment, and resuming from them.

``keras.callbacks.BackupAndRestore`` does not: it fails for good on a file that was half written, and starts again
without a word where one is missing.
``tf.train.CheckpointManager`` writes under temporary names, renames, and only then moves its pointer.
"""

from __future__ import annotations

import logging

import keras
import tensorflow as tf

from tfvs.paths import require_literal

logger = logging.getLogger(__name__)


class ResumableCheckpoint(keras.callbacks.Callback):
    """Saves weights, optimizer, random state and the number of finished epochs after an epoch.

    Args:
      directory: A stable folder, not one that every execution gets anew.
      every_epochs: How often.
      write_directory: Where to save, if it is not where to restore from: every host must take part in saving, but all
        go on from the first one's checkpoint.
    """

    def __init__(self, directory: str, *, every_epochs: int = 1, write_directory: str | None = None) -> None:
        super().__init__()
        # TensorFlow removes old checkpoints by pattern, in whatever folder its path matches.
        self._directory = require_literal(directory, "The checkpoints' folder")
        self._write_directory = require_literal(write_directory or directory, "The checkpoints' folder")
        self._every_epochs = every_epochs
        self._manager: tf.train.CheckpointManager | None = None
        self._finished_epochs: tf.Variable | None = None

    def restore(self, model: keras.Model) -> int:
        """Restores the newest whole checkpoint into a built and compiled model.

        Args:
          model: Built and compiled.

        Returns:
          Finished epochs: where to go on; 0 without a checkpoint.
        """
        model.optimizer.build(model.trainable_variables)
        self._finished_epochs = tf.Variable(0, dtype=tf.int64, trainable=False)
        random_states = [variable.value for variable in seed_states(model)]
        # A layer in a list of its parent is no part of what TensorFlow finds in a Keras model: the optimizer knows its
        # trained weights, and batch statistics are named here.
        statistics = [variable.value for variable in model.non_trainable_weights]
        checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=model.optimizer,
            statistics=statistics,
            random_states=random_states,
            epoch=self._finished_epochs,
        )
        self._manager = tf.train.CheckpointManager(checkpoint, self._write_directory, max_to_keep=2)
        for path in reversed(tf.train.CheckpointManager(checkpoint, self._directory, max_to_keep=2).checkpoints):
            try:
                checkpoint.restore(path).assert_existing_objects_matched()
            except (
                Exception
            ) as error:  # what TensorFlow raises for a file that was half written: IndexError, DataLossError, ...
                logger.warning("The checkpoint %s cannot be restored (%s); trying the one before.", path, error)
                continue
            return int(self._finished_epochs.numpy())
        return 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls it."""
        if self._manager is None or self._finished_epochs is None:
            raise RuntimeError("Call restore(model) before fit.")
        if (epoch + 1) % self._every_epochs == 0:
            self._finished_epochs.assign(epoch + 1)
            self._manager.save(checkpoint_number=epoch + 1)


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """The states of a model's seed generators, which a TensorFlow checkpoint of the model does not hold.

    Keras documents ``Layer.variables`` as ``Layer.weights`` with the states of metrics and of seed generators.

    Args:
      model: Built.
    """
    others = {id(variable) for variable in (*model.weights, *model.metrics_variables)}
    return [variable for variable in model.variables if id(variable) not in others]
