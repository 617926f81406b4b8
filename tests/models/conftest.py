"""Small models and data."""

from typing import Any

import numpy as np
import pytest

import tfvs
from tests.graphs import plain_graphs

__all__ = ["plain_graphs"]

SMALL: dict[str, Any] = {
    "num_classes": 4,
    "num_steps": 2,
    "crop_size": 12,
    "min_scale": 0.3,
    "max_scale": 0.8,
    "state_size": 12,
    "encoder_filters": (4, 6),
    "encoder_strides": (2, 2),
    "encoder_units": 10,
    "decoder_filters": (6, 4),
    "prior_units": 8,
    "posterior_units": 9,
    "latent_units": 7,
    "crop_filters": (6, 8),
    "crop_strides": (2, 2),
    "crop_units": 11,
    "head_units": 10,
}


@pytest.fixture
def make_model():
    return lambda **changes: tfvs.VariationalSaccader(**{**SMALL, **changes})


@pytest.fixture
def data() -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(7)
    inputs = {
        "image": rng.random((8, 30, 40, 1)).astype("float32"),
        "proxy": rng.random((8, 9, 12, 1)).astype("float32"),
    }
    return inputs, rng.integers(0, 4, 8)
