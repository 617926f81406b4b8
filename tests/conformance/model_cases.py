"""Every public model: how one is made for the conformance tests."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.conftest import SMALL
from tfvs.models import DRAM, RAM, GridResNet18, ResNet18, VariationalSaccader

RNG = np.random.default_rng(12)
INPUTS = {
    "image": RNG.random((4, 30, 40, 3)).astype("float32"),
    "proxy": RNG.random((4, 9, 12, 3)).astype("float32"),
}
LABELS = np.array([0, 1, 2, 3])
SHAPES = {name: (None, *value.shape[1:]) for name, value in INPUTS.items()}
STILL: dict[str, Any] = {"posterior_stddev": 1e-6, "initial_state_noise": 0.0}  # two trainings draw the same
CELLS: dict[str, Any] = {
    "posterior": "categorical",
    "cells": (3, 4),
    "inhibition_cells": 0,
    "place_prior": "learned",
    "look_pooling": "evidence",
}


@keras.saving.register_keras_serializable("tfvs_test")
class Convolutions(keras.layers.Layer):
    """A backbone whose layers Keras names itself: by other numbers in every process."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = keras.layers.Conv2D(3, 3, strides=2, data_format="channels_last")
        self.others = [keras.layers.Conv2D(4, 3, data_format="channels_last") for _ in range(2)]

    def build(self, input_shape: Any) -> None:
        for layer in (self.first, *self.others):
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = self.first(inputs)
        for layer in self.others:
            x = layer(tf.nn.relu(x))
        return tf.reduce_mean(x, axis=[1, 2])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        return (input_shape[0], 4)


def functional_backbone() -> keras.Model:
    """Its first convolution is frozen, the network as a whole is not."""
    inputs = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(3, 3, data_format="channels_last", trainable=False)
    x = keras.layers.BatchNormalization(axis=-1)(first(inputs))
    inner = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(5, 3, data_format="channels_last")])
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(data_format="channels_last")(inner(x)))


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and how it is made."""

    model: type[keras.Model]
    make: Callable[[], keras.Model]


CASES = {
    "gaussian": Case(VariationalSaccader, lambda: VariationalSaccader(**SMALL, **STILL)),
    "cells": Case(VariationalSaccader, lambda: VariationalSaccader(**SMALL, **STILL, **CELLS)),
    "layers": Case(VariationalSaccader, lambda: VariationalSaccader(**SMALL, **STILL, crop_encoder=Convolutions())),
    "functional": Case(
        VariationalSaccader, lambda: VariationalSaccader(**SMALL, **STILL, crop_encoder=functional_backbone())
    ),
    "ram": Case(RAM, lambda: RAM(4, num_steps=2, glimpse_size=6, num_scales=2, units=8, num_samples=2)),
    "dram": Case(DRAM, lambda: DRAM(4, num_steps=2, glimpse_size=6, num_scales=2, units=8, num_samples=2)),
    "resnet": Case(ResNet18, lambda: ResNet18(4, normalization="group")),
    "grid": Case(GridResNet18, lambda: GridResNet18(4, 2, 16, 7, 5)),
}
every_model = pytest.mark.parametrize("name", CASES)


def made(name: str) -> keras.Model:
    keras.utils.set_random_seed(5)
    model = CASES[name].make()
    model.build(SHAPES)
    return model
