"""Functions that TensorFlow traces as they are written.

TensorFlow rewrites the Python of what it traces (AutoGraph), so that ``if`` and ``for`` may depend on tensors. Nothing
in tfvs needs that: it calls ``tf.cond`` and ``tf.map_fn`` itself. Rewriting takes nearly as long as tracing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

Function = TypeVar("Function", bound=Callable[..., Any])


def as_written(function: Function) -> Function:
    """Decorator: neither the function nor what it calls or gives to ``tf.data`` is rewritten.

    Args:
      function: Function or method that makes tensors or datasets.
    """
    return tf.autograph.experimental.do_not_convert(function)
