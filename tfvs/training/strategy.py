"""The devices to train on: every GPU there is, N logical CPU devices, or several hosts; and TensorFlow's threads."""

from __future__ import annotations

import tensorflow as tf

from tfvs.errors import ResourceError
from tfvs.training.hosts import SeveralHosts, count_hosts


def limit_threads(threads: int) -> None:
    """Sets TensorFlow's threads, before anything has used them.

    Args:
      threads: How many; 0 for as many as there are cores, which is TensorFlow's default.
    """
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def make_strategy(num_devices: int | None = None) -> tf.distribute.Strategy:
    """A MirroredStrategy, or where ``TF_CONFIG`` names several hosts, one over all their devices.

    Args:
      num_devices: None for all GPUs, or one CPU where there is none; a number for as many GPUs, or, without a GPU, as
        many logical CPU devices (which tests synchronous training; it makes nothing faster).

    Returns:
      The strategy.

    Raises:
      ResourceError: More devices are asked for than there are, or TensorFlow has already fixed its devices.
    """
    if count_hosts() > 1:
        try:
            return SeveralHosts()
        except RuntimeError as error:
            raise ResourceError(
                "Several hosts must find each other before TensorFlow computes anything",
                received=error,
                mend="Call make_strategy first; of the commands, the pipeline's Trainer does",
            ) from error
    gpus = tf.config.list_logical_devices("GPU") if tf.config.list_physical_devices("GPU") else []
    if gpus:
        wanted = num_devices or len(gpus)
        if wanted > len(gpus):
            raise ResourceError("Too few GPUs", expected=wanted, received=len(gpus))
        return tf.distribute.MirroredStrategy([device.name for device in gpus[:wanted]])
    wanted = num_devices or 1
    reserve_devices(wanted)
    devices = [device.name for device in tf.config.list_logical_devices("CPU")][:wanted]
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def reserve_devices(num_devices: int | None) -> None:
    """Makes as many logical CPU devices as are wanted, where there is no GPU; before TensorFlow starts.

    Args:
      num_devices: As for :func:`make_strategy`.

    Raises:
      ResourceError: TensorFlow has already started with fewer.
    """
    wanted = num_devices or 1
    if tf.config.list_physical_devices("GPU"):
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) >= wanted:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
    except RuntimeError as error:
        raise ResourceError(
            f"{wanted} logical CPU devices are wanted, but TensorFlow has already started with fewer",
            mend="Call make_strategy before anything else touches TensorFlow",
        ) from error
