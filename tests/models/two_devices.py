"""Run by test_distribution in a process of its own: the loss on one device and on two, as JSON."""

import json
import sys
from typing import Any

import keras
import numpy as np

import tfvs
from tests.models.conftest import SMALL
from tfvs.training.strategy import make_strategy
from tfvs.training.trainer import TrainConfig, configured_callbacks

# Each device would draw its own noise: without noise the losses must agree. Where cells are drawn, the prior is so
# peaked that the draw is the mode.
POSTERIORS: dict[str, dict[str, Any]] = {
    "gaussian": {"posterior_stddev": 1e-6},
    "categorical": {
        "posterior": "categorical",
        "cells": (3, 4),
        "inhibition_cells": 0,
        "prior_power": 1e6,
        "learns_offset": False,
        "posterior_stddev": 1e-6,
        "kl_weight": 0.0,
        "look_pooling": "evidence",
        "reconstruction_weight": 0.0,
        "max_scale": 0.4,
    },
}


def main(devices: int, posterior: str) -> None:
    strategy = make_strategy(devices)
    rng = np.random.default_rng(7)
    inputs = {
        "image": rng.random((16, 30, 40, 1)).astype("float32"),
        "proxy": rng.random((16, 9, 12, 1)).astype("float32"),
    }
    labels, weights = rng.integers(0, 4, 16), rng.random(16).astype("float32")
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = tfvs.VariationalSaccader(**{**SMALL, **POSTERIORS[posterior]}, initial_state_noise=0.0)
        model.build({name: (None, *value.shape[1:]) for name, value in inputs.items()})
        average = configured_callbacks(TrainConfig(average_weights=0.5), total_steps=6)
        model.compile(keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.5), weighted_metrics=["accuracy"])
    given: dict[str, Any] = {"sample_weight": weights, "validation_data": (inputs, labels, weights)}
    given |= {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0}
    history = model.fit(inputs, labels, callbacks=average, **given)
    evaluated = model.evaluate(inputs, labels, sample_weight=weights, batch_size=8, verbose=0, return_dict=True)
    print(json.dumps({"history": history.history, "evaluated": evaluated}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
