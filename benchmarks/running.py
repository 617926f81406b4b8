"""What benchmarks share that train: threads of TensorFlow, and fields given on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def limit_threads(threads: int) -> None:
    """Sets TensorFlow's threads, before anything has used them.

    Args:
      threads: How many; 0 for as many as there are cores, which is TensorFlow's default.
    """
    if threads == 0:
        return
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Fields of a configuration from ``--override FIELD=JSON``.

    Raises:
      ValueError: A value that is no JSON.
    """
    return {name: json.loads(value) for name, _, value in (text.partition("=") for text in texts)}
