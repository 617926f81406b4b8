"""The baselines: ResNet18 on the whole image and on a grid of crops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvs.errors import ConfigError, InputError
from tfvs.models import GridResNet18, ResNet18
from tfvs.models.grid_resnet import grid_starts

RNG = np.random.default_rng(10)
INPUTS = {"image": RNG.random((4, 40, 50, 1)).astype("float32"), "proxy": np.zeros([4, 8, 8, 1], "float32")}
LABELS = np.arange(4) % 3


def test_parameters_are_resnet18s():
    model = ResNet18(num_classes=1000)
    model.build({"image": (None, 224, 224, 3)})
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == 11_689_512  # as published with torchvision


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: ResNet18(3, normalization="group"), id="whole"),
        pytest.param(lambda: GridResNet18(3, 2, 32, 7, 5), id="grid", marks=pytest.mark.slow),
    ],
)
def test_fit_and_save(model, tmp_path):
    model = model()
    model.compile("sgd", weighted_metrics=["accuracy"])
    history = model.fit(INPUTS, LABELS, sample_weight=np.ones(4), verbose=0).history
    assert {"loss", "accuracy"} <= set(history)
    expected = model.predict(INPUTS, verbose=0).logits
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded.predict(INPUTS, verbose=0).logits, expected)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: ResNet18(3, normalization="group"), id="whole"),
        pytest.param(lambda: GridResNet18(3, 2, 32, 7, 5), id="grid", marks=pytest.mark.slow),
    ],
)
def test_whole_numbers_are_scaled(model):
    model = model()
    image = RNG.integers(0, 256, (2, 40, 50, 1), dtype=np.uint8)
    expected = model({"image": (image / 255.0).astype("float32")}).logits
    np.testing.assert_allclose(model({"image": image}).logits, expected, atol=1e-5)


def test_the_loop_over_cells_is_the_plain_sum_with_its_gradients():
    model = GridResNet18(3, grid=2, crop_size=32, output_size=7, head_units=5)
    image = tf.constant(INPUTS["image"])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(INPUTS).logits ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    with tf.GradientTape() as tape:
        crops = [image[:, y : y + 32, x : x + 32] for y in (0, 8) for x in (0, 18)]
        summed = tf.add_n([model.crop_output(model.backbone(crop)) for crop in crops])
        plain = tf.reduce_sum(model.head(model.hidden(summed)) ** 2)
    assert float(loss) == pytest.approx(float(plain), rel=1e-5)
    for ours, expected in zip(gradients, tape.gradient(plain, model.trainable_variables), strict=True):
        scale = float(tf.reduce_max(tf.abs(expected))) + 1e-6
        np.testing.assert_allclose(ours / scale, expected / scale, atol=1e-4)


def test_the_papers_grid_reaches_both_edges():
    starts = grid_starts(tf.constant(2528), 224, 12).numpy()
    assert starts[0] == 0
    assert starts[-1] == 2528 - 224
    assert np.all(np.diff(starts) <= 224)


def test_bad_input():
    with pytest.raises(ConfigError, match="num_classes"):
        ResNet18(1)
    with pytest.raises(ConfigError, match="normalization"):
        ResNet18(3, normalization="layer")
    with pytest.raises(InputError, match="larger than the image"):
        GridResNet18(3, crop_size=64).build({"image": (None, 40, 50, 1)})
    with pytest.raises(InputError, match="dense images"):
        ResNet18(3).build({"proxy": (None, 8, 8, 1)})
