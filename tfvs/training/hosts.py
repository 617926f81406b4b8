"""Several hosts that train together, each with the same program and its own ``TF_CONFIG``."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfvs.errors import ConfigError, TrainingError

VARIABLE = "TF_CONFIG"


def _config() -> dict[str, Any]:
    text = os.environ.get(VARIABLE) or "{}"
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{VARIABLE} is no JSON", received=text, mend="Unset it, or see docs/pipelines.md") from error


def count_hosts() -> int:
    """How many hosts train together, by ``TF_CONFIG``; 1 without it.

    Raises:
      ConfigError: ``TF_CONFIG`` is no JSON.
    """
    cluster = _config().get("cluster", {})
    return max(1, sum(len(cluster.get(role, ())) for role in ("chief", "worker")))


def host_index() -> int:
    """This host's number; 0 leads, and is the only one whose files count.

    Raises:
      ConfigError: ``TF_CONFIG`` is no JSON.
    """
    config = _config()
    task = config.get("task", {})
    index = int(task.get("index", 0))
    return index + len(config.get("cluster", {}).get("chief", ())) if task.get("type") == "worker" else index


@contextlib.contextmanager
def ends_with_others() -> Iterator[None]:
    """One sentence where another of several hosts has ended, which ends the training of all.

    Raises:
      TrainingError: Another host cannot be reached any more.
    """
    try:
        yield
    except tf.errors.UnavailableError as error:
        if count_hosts() == 1:
            raise
        raise TrainingError(
            "Another host has ended or cannot be reached",
            received=str(error).splitlines()[0][:300],
            mend="Start all hosts again with the same commands: they go on from the last checkpoint",
        ) from error


class SeveralHosts(tf.distribute.MultiWorkerMirroredStrategy):
    """MultiWorkerMirroredStrategy whose ``reduce`` takes what Keras 3 hands it.

    ``fit`` averages a whole nested batch to learn its shapes, which TensorFlow refuses between hosts: here the host's
    own share serves as well. And it averages scalar logs along an axis that scalars do not have.
    """

    def reduce(self, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
        """As TensorFlow's, but see the class.

        Args:
          reduce_op: ``"SUM"`` or ``"MEAN"``.
          value: A value of every replica, or a nested batch of them.
          axis: Axis of the values to reduce; None reduces over the replicas alone.
        """
        if isinstance(value, tuple | list | dict):
            return tf.nest.map_structure(lambda leaf: self.experimental_local_results(leaf)[0], value)
        local = self.experimental_local_results(value)[0]
        return super().reduce(reduce_op, value, axis=None if local.shape.rank == 0 else axis)


def by_files(
    strategy: tf.distribute.Strategy, make: Callable[[int, int, int], tf.data.Dataset]
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """A dataset of which every host makes its own part, from files of its own.

    Args:
      strategy: What :func:`tfvs.training.strategy.make_strategy` gave.
      make: From the host's number, how many hosts there are and how many devices each has, what that host trains on:
        batches of one device. ``make(0, 1, 1)`` gives whole batches, which a strategy divides by itself.
    """
    hosts = count_hosts()
    if hosts == 1:
        return make(0, 1, 1)
    return strategy.distribute_datasets_from_function(
        lambda context: make(context.input_pipeline_id, hosts, strategy.num_replicas_in_sync // hosts)
    )


def by_records(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Every host reads all records and takes its share of every batch: all are counted once, as evaluation must."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
