import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.conftest import SMALL
from tfvs.errors import ConfigError
from tfvs.models.image_classifier import ImageClassifier
from tfvs.models.resnet import ClassifierOutput
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.checkpointing import ResumableCheckpoint
from tfvs.training.trainer import TrainConfig, make_optimizer, train

EPOCHS, STEPS, BATCH = 4, 3, 4


def make_dataset(initial_epoch: int) -> tf.data.Dataset:
    random = np.random.default_rng(0)
    image = random.random([EPOCHS * STEPS * BATCH, 24, 32, 1], np.float32)
    label = random.integers(0, 3, len(image))
    dataset = tf.data.Dataset.from_tensor_slices(({"image": image, "proxy": image[:, ::3, ::4]}, label))
    return dataset.batch(BATCH, drop_remainder=True).skip(initial_epoch * STEPS)


def make_model() -> VariationalSaccader:
    keras.utils.set_random_seed(3)
    model = VariationalSaccader(**SMALL)
    model.build({"image": (None, 24, 32, 1), "proxy": (None, 8, 8, 1)})
    return model


class Linear(ImageClassifier):
    """The smallest classifier that the trainer takes."""

    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.logits = keras.layers.Dense(self.num_classes)

    def build_parts(self, shapes) -> None:
        self.logits.build((None, 64))

    def call(self, inputs, training=False) -> ClassifierOutput:
        return ClassifierOutput(self.logits(tf.reshape(inputs["proxy"], [-1, 64])))


def make_linear() -> Linear:
    keras.utils.set_random_seed(3)
    model = Linear()
    model.build({"proxy": (None, 8, 8, 1)})
    return model


def run(folder, config: TrainConfig, model: ImageClassifier | None = None, **options) -> list[dict[str, float]]:
    return train(
        make_model() if model is None else model,
        make_dataset,
        config,
        steps_per_epoch=STEPS,
        checkpoint_dir=str(folder / "checkpoints"),
        log_dir=str(folder / "logs"),
        write=lambda _: None,
        **options,
    )


class Killed(keras.callbacks.Callback):
    """Dies in the middle of the third epoch, after two checkpoints."""

    def on_train_batch_end(self, batch, logs=None) -> None:
        if self.model.optimizer.iterations.numpy() == 2 * STEPS + 1:
            raise KeyboardInterrupt


def losses(history: list[dict[str, float]]) -> list[float]:
    return [epoch["loss"] for epoch in history]


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path) -> None:
    config = TrainConfig(epochs=EPOCHS, batch_size=BATCH, zoom_from=0.6, zoom_to=0.4)
    whole = run(tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", config, callbacks=[Killed()])
    resumed = run(tmp_path / "broken", config)
    assert len(whole) == EPOCHS
    assert losses(resumed) == pytest.approx(losses(whole)[2:], rel=1e-5)
    assert run(tmp_path / "broken", config) == []
    history = (tmp_path / "broken" / "logs" / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history] == ["epoch", "0", "1", "2", "3"]


def test_batch_statistics_come_back_too(tmp_path) -> None:
    """Those of layers in a list of their parent, which no optimizer knows."""

    def make() -> VariationalSaccader:
        keras.utils.set_random_seed(3)
        model = VariationalSaccader(**{**SMALL, "crop_normalization": "batch"})
        model.build({"image": (None, 24, 32, 1), "proxy": (None, 8, 8, 1)})
        return model

    trained, fresh = make(), make()
    config = TrainConfig(epochs=1, batch_size=BATCH)
    run(tmp_path, config, trained)
    assert run(tmp_path, config, fresh) == []
    moved = [not np.allclose(a, b) for a, b in zip(trained.get_weights(), make().get_weights(), strict=True)]
    assert any(m for m, weight in zip(moved, trained.weights, strict=True) if weight.path.endswith("moving_mean"))
    for weight, other in zip(trained.weights, fresh.weights, strict=True):
        np.testing.assert_array_equal(weight, other, err_msg=weight.path)


class Recorded(keras.callbacks.Callback):
    """The weights after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.weights.append(self.model.get_weights())


def test_averaged_weights_are_the_moving_average_of_all_steps(tmp_path) -> None:
    momentum, recorded, model = 0.8, Recorded(), make_linear()
    config = TrainConfig(epochs=2, batch_size=BATCH, average_weights=momentum)
    history = run(tmp_path, config, model, callbacks=[recorded], validation_data=make_dataset(0))
    average = recorded.weights[0]
    for weights in recorded.weights[1:]:
        average = [momentum * a + (1 - momentum) * b for a, b in zip(average, weights, strict=True)]
    assert len(recorded.weights) == 2 * STEPS
    for found, wanted, last in zip(model.get_weights(), average, recorded.weights[-1], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        assert np.abs(found - last).max() > 1e-4
    # What was evaluated after the last epoch is what is left.
    model.compile()
    evaluated = model.evaluate(make_dataset(0), verbose=0, return_dict=True)
    assert history[-1]["val_loss"] == pytest.approx(evaluated["loss"], rel=1e-5)


def test_averaged_weights_survive_a_stop(tmp_path) -> None:
    config = TrainConfig(epochs=EPOCHS, batch_size=BATCH, average_weights=0.8)
    whole, broken, finished = make_linear(), make_linear(), make_linear()
    run(tmp_path / "whole", config, whole)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", config, make_linear(), callbacks=[Killed()])
    run(tmp_path / "broken", config, broken)
    assert run(tmp_path / "broken", config, finished) == []
    for wanted, resumed, again in zip(*(m.get_weights() for m in (whole, broken, finished)), strict=True):
        np.testing.assert_allclose(resumed, wanted, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(again, resumed)


def test_a_torn_checkpoint_costs_one_epoch(tmp_path) -> None:
    config = TrainConfig(epochs=2, batch_size=BATCH)
    run(tmp_path, config, make_linear())
    newest = sorted((tmp_path / "checkpoints").glob("ckpt-2.data*"))
    newest[0].write_bytes(newest[0].read_bytes()[:100])
    assert len(run(tmp_path, config, make_linear())) == 1


def test_without_checkpoints_it_starts_again(tmp_path) -> None:
    config = TrainConfig(epochs=1, batch_size=BATCH)
    first = run(tmp_path, config, make_linear())
    shutil.rmtree(tmp_path / "checkpoints")
    assert losses(run(tmp_path, config, make_linear())) == pytest.approx(losses(first), rel=1e-5)


def test_learning_rate_warms_up_and_decays_to_nothing() -> None:
    schedule = make_optimizer(TrainConfig(learning_rate=1e-3, warmup_steps=10), 100)._learning_rate
    rates = [float(schedule(step)) for step in (0, 10, 55, 100)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[1] == pytest.approx(1e-3, rel=1e-3)
    assert rates[1] > rates[2] > rates[3]
    assert rates[3] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"batch_size": 5, "num_devices": 2}, "multiple of 2"),
        ({"zoom_from": 0.4, "zoom_to": 0.6}, "narrows"),
        ({"zoom_from": 0.4}, "both ends"),
        ({"zoom_start": 0.7, "zoom_stop": 0.6}, "order"),
        ({"epochs": 0}, "epochs"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
    ],
)
def test_configurations_that_cannot_work(fields, named) -> None:
    with pytest.raises(ConfigError, match=named):
        TrainConfig(**fields)


def test_checkpoints_in_a_folder_that_looks_like_a_pattern_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"run \[1\]"):
        ResumableCheckpoint(str(tmp_path / "run [1]"))
