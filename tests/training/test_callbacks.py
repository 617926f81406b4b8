"""The zoom schedule and the stop on a loss that is not finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvs
from tests.models.conftest import SMALL
from tfvs.errors import ConfigError, InputError, TrainingError
from tfvs.training.callbacks import EpochTable, StopOnNonFinite, ZoomSchedule


def data() -> tuple[dict[str, np.ndarray], np.ndarray]:
    inputs = {"image": np.zeros([8, 20, 20, 1], "float32"), "proxy": np.zeros([8, 8, 8, 1], "float32")}
    return inputs, np.arange(8) % 4


def test_the_zoom_is_linear_between_its_steps():
    zoom = ZoomSchedule(start_scale=0.8, stop_scale=0.4, start_step=10, stop_step=20)
    assert [zoom.scale(step) for step in (0, 10, 15, 20, 99)] == pytest.approx([0.8, 0.8, 0.6, 0.4, 0.4])


def test_the_zoom_moves_the_model_and_goes_on_where_it_was():
    model = tfvs.VariationalSaccader(**SMALL)
    model.compile("sgd")
    zoom = ZoomSchedule(start_scale=0.8, stop_scale=0.4, start_step=0, stop_step=8)
    model.fit(*data(), batch_size=4, epochs=2, callbacks=[zoom], verbose=0)
    assert float(model.max_scale.numpy()) == pytest.approx(0.6)
    again = ZoomSchedule(start_scale=0.8, stop_scale=0.4, start_step=0, stop_step=8)
    model.fit(*data(), batch_size=4, epochs=1, callbacks=[again], verbose=0)
    assert float(model.max_scale.numpy()) == pytest.approx(0.5)
    sides = model.predict(data()[0], verbose=0).boxes
    assert np.all(sides[..., 2] - sides[..., 0] <= 0.5 + 1e-5)


@pytest.mark.parametrize("wrong", [{"start_scale": 1.2}, {"stop_scale": 0.0}, {"start_step": 30}, {"start_step": -1}])
def test_a_zoom_that_cannot_work_is_named(wrong):
    fine = {"start_scale": 0.8, "stop_scale": 0.4, "start_step": 10, "stop_step": 20}
    with pytest.raises(ConfigError, match="Expected"):
        ZoomSchedule(**{**fine, **wrong})


@pytest.mark.parametrize(("start", "stop", "named"), [(0.9, 0.5, "max_scale"), (0.8, 0.1, "min_scale")])
def test_a_zoom_beyond_the_model_is_named_before_training(start, stop, named):
    model = tfvs.VariationalSaccader(**SMALL)
    model.compile("sgd")
    zoom = ZoomSchedule(start_scale=start, stop_scale=stop, start_step=0, stop_step=8)
    with pytest.raises(InputError, match=named):
        model.fit(*data(), callbacks=[zoom], verbose=0)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_term():
    model = tfvs.VariationalSaccader(**SMALL)
    model.compile(keras.optimizers.SGD(1e-3))
    inputs, labels = data()
    model.fit(inputs, labels, batch_size=4, verbose=0)
    model.decoder.blocks[-1].bias.assign([np.nan])
    with pytest.raises(TrainingError, match=r"step 3: reconstruction is no longer finite"):
        model.fit(inputs, labels, batch_size=4, callbacks=[StopOnNonFinite()], verbose=0)


def test_the_table_of_epochs_goes_on_and_may_lie_elsewhere():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for append in (False, True):
        table = EpochTable("ram://table/history.csv", append=append)
        model.fit(np.ones([4, 1]), np.ones([4, 1]), epochs=2, callbacks=[table], verbose=0)
    with tf.io.gfile.GFile("ram://table/history.csv") as file:
        epochs = [line.split(",")[0] for line in file.read().splitlines()]
    assert epochs == ["epoch", "0", "1", "0", "1"]
