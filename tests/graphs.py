"""A fixture for tests of models: what TensorFlow runs is the graph that was traced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tensorflow as tf


@pytest.fixture(scope="module", autouse=True)
def plain_graphs() -> Iterator[None]:
    """Leaves out TensorFlow's own rewriting of graphs, which takes a third of the time of a short training.

    The tests of commands, pipelines, the export and the server keep it.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
