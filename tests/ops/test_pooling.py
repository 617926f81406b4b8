"""Pooling of feature maps, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfvs.ops.pooling import POOLINGS, pool_map

WANTED = {
    "max": lambda x: x.max((1, 2)),
    "mean": lambda x: x.mean((1, 2)),
    "mean_max": lambda x: np.concatenate([x.mean((1, 2)), x.max((1, 2))], -1),
}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_as_numpy(pooling: str) -> None:
    """Values and width."""
    feature_map = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    found = pool_map(tf.constant(feature_map), pooling)
    assert found.shape == (2, 3 * POOLINGS[pooling])
    np.testing.assert_allclose(found, WANTED[pooling](feature_map), rtol=1e-5, atol=1e-6)
