"""Every public model: what users of Keras do with one works, or is an error that says what was received.

A public model without an entry fails the suite.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvs.models as public
from tests.conformance.model_cases import CASES, INPUTS, SHAPES, every_model, made
from tfvs.errors import ConfigError, InputError
from tfvs.models import VariationalSaccader
from tfvs.models.freezing import frozen_parts, parts


def test_every_public_model_has_an_entry():
    models = {
        getattr(public, name)
        for name in public.__all__
        if isinstance(getattr(public, name), type) and issubclass(getattr(public, name), keras.Model)
    }
    assert models == {case.model for case in CASES.values()}


def states(model: keras.Model) -> list[tuple[str, bool]]:
    return [(path, layer.trainable) for path, layer in parts(model)]


def flags(model: keras.Model) -> list[bool]:
    return [variable.trainable for variable in model.weights]


@every_model
def test_what_is_frozen_is_in_the_configuration(name):
    model = made(name)
    for _, layer in list(parts(model))[1::3]:
        layer.trainable = False
    again = type(model).from_config(model.get_config())
    again.build(SHAPES)
    assert not all(trainable for _, trainable in states(again))
    assert states(again) == states(model)
    assert flags(again) == flags(model)


@every_model
def test_a_layer_that_is_frozen_before_the_model_is_built_stays_so(name):
    keras.utils.set_random_seed(5)
    model = CASES[name].make()
    frozen = next(layer for _, layer in parts(model) if len(layer._flatten_layers()) > 3)
    frozen.trainable = False
    model.build(SHAPES)
    assert frozen.weights
    assert {id(v) for v in frozen.weights}.isdisjoint({id(v) for v in model.trainable_variables})


@pytest.mark.parametrize("name", ["layers", "functional"])
def test_a_file_keeps_what_is_frozen_and_the_optimizers_state(name, tmp_path):
    model = made(name)
    model.compile(keras.optimizers.Adam(0.01))
    model.encoder.trainable = False
    model.classifier.encoder.trainable = False

    def step(trained: keras.Model) -> None:
        gradients = [tf.sin(10.0 * tf.convert_to_tensor(variable)) for variable in trained.trainable_variables]
        trained.optimizer.apply_gradients(zip(gradients, trained.trainable_variables, strict=True))

    step(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert states(loaded) == states(model)
    before = [value.copy() for value in model.encoder.get_weights()]
    step(model)
    step(loaded)
    assert int(loaded.optimizer.iterations) == 2
    for value, other, start in zip(model.encoder.weights, loaded.encoder.weights, before, strict=True):
        np.testing.assert_array_equal(value, start)
        np.testing.assert_array_equal(other, start)
    for value, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5, err_msg=value.path)  # one step of Adam is 0.01


def test_parts_of_a_network_that_are_frozen_when_it_is_given_stay_so():
    model = made("functional")
    assert len(frozen_parts(model)) == 1
    frozen = next(layer for _, layer in parts(model) if not layer.trainable)
    assert isinstance(frozen, keras.layers.Conv2D)
    adapted = model.adapted(num_samples=2)
    assert frozen_parts(adapted) == frozen_parts(model)


def test_frozen_parts_that_the_model_has_not_are_named():
    config = made("gaussian").get_config()
    model = VariationalSaccader.from_config({**config, "frozen": ["Transformer"]})
    with pytest.raises(ConfigError, match="Transformer"):
        model.build(SHAPES)


@every_model
def test_hdf5_is_refused(name, tmp_path):
    with pytest.raises(InputError, match=r"HDF5.*\.keras"):
        CASES[name].make().save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def channels_first():
    """``image_data_format`` of the user's ``keras.json`` is what layers take that are not told otherwise."""
    before = keras.config.image_data_format()
    yield lambda: keras.config.set_image_data_format("channels_first")
    keras.config.set_image_data_format(before)


@pytest.mark.parametrize("name", ["functional", "dram"])
def test_a_file_answers_alike_whatever_keras_json_says(name, tmp_path, channels_first):
    model = made(name)
    expected = model(INPUTS).logits
    model.save(tmp_path / "m.keras")
    channels_first()
    loaded, anew = keras.models.load_model(tmp_path / "m.keras"), made(name)
    anew.set_weights(model.get_weights())
    for other in (loaded, anew):
        np.testing.assert_array_equal(other(INPUTS).logits, expected)


@pytest.mark.slow
def test_the_conformance_run_passes_with_channels_first(tmp_path):
    """All tests of public layers and models in a process whose ``keras.json`` says ``channels_first``."""
    (tmp_path / "keras.json").write_text(json.dumps({"image_data_format": "channels_first"}))
    code = "import keras, sys; sys.exit(keras.config.image_data_format() != 'channels_first')"
    environment = {**os.environ, "KERAS_HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=250).returncode == 0
    tests = [
        str(Path(__file__).with_name(name)) for name in ("test_layers.py", "test_models.py", "test_model_inputs.py")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-4000:]
