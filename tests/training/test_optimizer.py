"""Clipping on one device; on two it is tested in test_devices."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvs.training.optimizer import ClippedAdam


def weights_after(optimizer: keras.optimizers.Optimizer) -> np.ndarray:
    variables = [keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones((2, 2), "float32"))]
    optimizer.build(variables)
    for step in range(3):
        gradients = [tf.constant([3.0, -4.0, 0.0]) * (step - 1.5), tf.ones((2, 2)) * step]
        optimizer.apply(gradients, variables)
    return np.concatenate([variable.numpy().ravel() for variable in variables])


@pytest.mark.parametrize("norm", [0.5, 100.0])
def test_it_is_keras_own_clipping_on_one_device(norm) -> None:
    expected = weights_after(keras.optimizers.Adam(0.1, global_clipnorm=norm))
    np.testing.assert_allclose(weights_after(ClippedAdam(0.1, clip_norm=norm)), expected, rtol=1e-5)


def test_variables_without_a_gradient_stay_as_they_are() -> None:
    variables = [keras.Variable(np.ones(2, "float32")), keras.Variable(np.ones(2, "float32"))]
    optimizer = ClippedAdam(0.1)
    optimizer.build(variables)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, tf.ones(2)], variables)
    np.testing.assert_array_equal(variables[0].numpy(), 1.0)
    assert np.all(variables[1].numpy() < 1.0)


def test_round_trip() -> None:
    optimizer = ClippedAdam(0.1, clip_norm=3.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, ClippedAdam)
    assert again.clip_norm == 3.0


def test_groups_have_learning_rates_of_their_own() -> None:
    """The first step of Adam moves every weight by its learning rate."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(3, use_bias=False, name="backbone")(inputs)
    fine = keras.layers.Dense(2, use_bias=False, name="backbone_head")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="head")(fine))
    optimizer = ClippedAdam(0.1, clip_norm=1e6, group_rates={"backbone": 0.5, "backbone_head": 0.25, "other": 9.0})
    before = [np.array(value) for value in model.get_weights()]
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 3), np.float32), np.full((4, 1), 7.0), batch_size=4, verbose=0)
    moved = [np.abs(np.array(new) - old) for old, new in zip(before, model.get_weights(), strict=True)]
    for change, rate in zip(moved, (0.05, 0.025, 0.1), strict=True):
        np.testing.assert_allclose(change, rate, rtol=1e-3)
    assert ClippedAdam.from_config(optimizer.get_config()).group_rates == optimizer.group_rates


def test_a_saved_model_that_names_the_optimizer_loads_after_import_tfvs_alone() -> None:
    script = "import tfvs, keras; print(keras.saving.get_registered_object('tfvs>ClippedAdam').__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "ClippedAdam"
