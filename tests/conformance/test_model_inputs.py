"""Every public model: values, batches and forms of inputs that cannot be used are named, and change nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.model_cases import CASES, CELLS, INPUTS, LABELS, RNG, SHAPES, STILL, every_model, made
from tests.models.conftest import SMALL
from tests.models.pyramid_inputs import build_model, make_pyramids
from tfvs.errors import ConfigError, InputError
from tfvs.layers import SpatialTransformer
from tfvs.models import VariationalSaccader


def compiled_model(jit_compile: bool) -> keras.Model:
    model = made("gaussian")
    model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], jit_compile=jit_compile)
    return model


@pytest.fixture(scope="module")
def plain():
    return compiled_model(False)


@pytest.fixture(scope="module", params=["plain", pytest.param("xla", marks=pytest.mark.slow)])
def compiled(request):
    return request.getfixturevalue("plain") if request.param == "plain" else compiled_model(True)


def with_pixels(name: str, value: float) -> dict[str, np.ndarray]:
    """The inputs with one pixel of another value."""
    pixels = INPUTS[name].copy()
    pixels[3, 4, 5] = value
    return {**INPUTS, name: pixels}


RIGHT = np.array([0, 1, 2, 3], "float32")  # whole numbers, whatever their dtype
WRONG = {
    "label 9": ("no class index.*9", {"y": [0, 1, 2, 9]}),
    "label -1": ("no class index.*-1", {"y": [0, 1, -1, 3]}),
    "label 1.9": ("no class index.*1.9", {"y": [0, 1.9, 2, 3]}),
    "label NaN": ("no class index.*nan", {"y": [0, 1, np.nan, 3]}),
    "weight -1": ("sample weight.*-1", {"sample_weight": [1, 1, -1, 1]}),
    "weight NaN": ("sample weight.*nan", {"sample_weight": [1, 1, np.nan, 1]}),
    "pixel 255": ("input image has pixels", {"x": with_pixels("image", 255.0)}),
    "pixel NaN": ("input image has pixels", {"x": with_pixels("image", np.nan)}),
    "pixel 255 of the proxy": ("input proxy has pixels", {"x": with_pixels("proxy", 255.0)}),
    "pixel NaN of the proxy": ("input proxy has pixels", {"x": with_pixels("proxy", np.nan)}),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_that_cannot_be_used_change_no_weight(compiled, name):
    """They are an error; where XLA leaves errors out, the loss is NaN."""
    message, changes = WRONG[name]
    batch = {"x": INPUTS, "y": RIGHT, "sample_weight": np.ones(4, "float32")}
    batch |= {key: value if key == "x" else np.array(value, "float32") for key, value in changes.items()}
    before = [value.copy() for value in compiled.get_weights()]
    trains, tests = compiled.train_on_batch, compiled.test_on_batch
    for step in [trains] if name.startswith("pixel") else [trains, tests]:
        compiled.reset_metrics()
        if compiled.jit_compile:
            assert np.isnan(step(**batch, return_dict=True)["loss"])
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                step(**batch)
    for value, other in zip(before, compiled.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)


def test_labels_that_are_whole_numbers_in_another_dtype_train(compiled):
    compiled.reset_metrics()
    before = compiled.encoder.get_weights()
    logs = compiled.train_on_batch(INPUTS, RIGHT, sample_weight=np.ones(4, "float32"), return_dict=True)
    assert np.isfinite(logs["loss"])
    assert any(not np.array_equal(a, b) for a, b in zip(before, compiled.encoder.get_weights(), strict=True))


@every_model
@pytest.mark.parametrize("given", [{"loss": "mse"}, {"loss_weights": [1.0]}], ids=lambda given: next(iter(given)))
def test_a_loss_of_the_users_own_is_refused(name, given):
    with pytest.raises(ConfigError, match="a loss of its own"):
        CASES[name].make().compile("adam", **given)


def fake_gpu(monkeypatch):
    """Keras looks for devices that are no CPU to decide about XLA."""
    device = tf.config.PhysicalDevice(name="/physical_device:GPU:0", device_type="GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [device])


def test_with_a_gpu_keras_uses_xla_where_the_model_lets_it(monkeypatch):
    fake_gpu(monkeypatch)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.compile("sgd", loss="mse")
    assert other.jit_compile is True  # what Keras does by itself
    saccader = CASES["gaussian"].make()
    assert saccader.jit_compile is False
    saccader.compile("sgd")
    assert saccader.jit_compile is False
    saccader.compile("sgd", jit_compile=True)
    assert saccader.jit_compile is True


def test_with_a_gpu_tiles_are_read_without_xla(monkeypatch, tmp_path):
    dataset, _ = make_pyramids(tmp_path)
    model = build_model(tmp_path)
    fake_gpu(monkeypatch)
    assert model.jit_compile is False  # for predict, before compile
    model.compile("sgd")
    assert model.jit_compile is False
    model.compile("sgd", jit_compile=True)
    for use in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ConfigError, match="XLA cannot read"):
            use(dataset, verbose=0)


@keras.saving.register_keras_serializable("tfvs_test")
class LosesTheSecond(SpatialTransformer):
    """Crops of the second image are not finite, as those of a damaged one may be."""

    def call(self, image: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        crops = super().call(image, boxes)
        return tf.where(tf.one_hot(1, tf.shape(crops)[0])[:, None, None, None, None] > 0, np.nan, crops)


@pytest.mark.parametrize("changes", [{}, {**CELLS, "place_gradient": "reinforce"}], ids=["gaussian", "cells"])
def test_an_invalid_image_counts_in_no_term_and_no_metric(changes):
    keras.utils.set_random_seed(5)
    fields = {**SMALL, **STILL, **changes, "place_prior": "contrast"}
    model = VariationalSaccader(**fields, spatial_transformer=LosesTheSecond(SMALL["crop_size"]))
    model.build(SHAPES)
    entropy = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="entropy")
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"], weighted_metrics=[entropy], run_eagerly=True)
    evaluated = model.evaluate(INPUTS, LABELS, verbose=0, return_dict=True)
    others = {name: value[[0, 0, 2, 3]] for name, value in INPUTS.items()}
    alone = model.evaluate(others, LABELS[[0, 0, 2, 3]], verbose=0, return_dict=True)  # again without its second row
    assert evaluated == pytest.approx(alone, rel=1e-4)
    history = model.fit(INPUTS, LABELS, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values()), history
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_proxy_that_is_not_finite_counts_in_no_metric():
    model = made("gaussian")
    model.compile("sgd", metrics=["accuracy"], run_eagerly=True)
    broken = {**INPUTS, "proxy": INPUTS["proxy"].copy()}
    broken["proxy"][1] = np.nan
    evaluated = model.evaluate(broken, LABELS, verbose=0, return_dict=True)
    rest = [0, 2, 3]
    alone = model.evaluate({k: v[rest] for k, v in INPUTS.items()}, LABELS[rest], verbose=0, return_dict=True)
    assert evaluated.pop("loss") == pytest.approx(alone.pop("loss") * 3 / 4, rel=1e-4)  # a mean over the batch
    assert evaluated == pytest.approx(alone, rel=1e-4)


@every_model
def test_no_images_give_outputs_without_rows(name):
    output = made(name)({key: value[:0] for key, value in INPUTS.items()})
    assert output.logits.shape == (0, 4)


def test_a_batch_without_images_trains_nothing_and_fails_nothing():
    """oneDNN ends the process on a convolution of no images."""
    model = made("gaussian")
    model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], run_eagerly=True)
    before = [value.copy() for value in model.get_weights()]
    empty = {key: value[:0] for key, value in INPUTS.items()}
    logs = model.train_on_batch(empty, RIGHT[:0], sample_weight=np.ones(0, "float32"), return_dict=True)
    assert logs["loss"] == 0.0
    for value, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)

    @tf.function(input_signature=[{name: tf.TensorSpec(shape, tf.float32) for name, shape in SHAPES.items()}])
    def logits(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return model(inputs).logits

    assert logits(empty).shape == (0, 4)
    np.testing.assert_allclose(logits(INPUTS), model(INPUTS).logits, atol=1e-5)


UNEQUAL = [RNG.random((30 + i, 40, 3)).astype("float32") for i in range(4)]
OTHER_FORMS = {
    "an array": (INPUTS["image"], r"a dict with.*float32 \(4, 30, 40, 3\)"),
    "a list": ([INPUTS["image"], INPUTS["proxy"]], "a dict with.*a list of 2"),
    "images of several sizes": ({**INPUTS, "image": UNEQUAL}, "same size.*a list of 4"),
    "an array of arrays": ({**INPUTS, "image": np.array([*UNEQUAL, None], object)[:4]}, "same size.*object"),
    "ragged": (
        {**INPUTS, "image": tf.RaggedTensor.from_tensor(tf.constant(INPUTS["image"]), ragged_rank=2)},
        "same size.*RaggedTensor",
    ),
    "no images": ({name: value[:0] for name, value in INPUTS.items()}, "There are no images"),
    "batches that differ": ({**INPUTS, "proxy": INPUTS["proxy"][:3]}, "different numbers.*'image': 4, 'proxy': 3"),
    "nothing to look at": ({"proxy": INPUTS["proxy"]}, "nothing to look at"),
    "a proxy of another size": ({**INPUTS, "proxy": INPUTS["proxy"][:, 1:]}, r"another size.*\(.*8, 12, 3\)"),
    "another number of channels": ({**INPUTS, "image": INPUTS["image"][..., :1]}, "channels differ"),
    "one image without a batch": ({name: value[0] for name, value in INPUTS.items()}, "different numbers|B, h, w, c"),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_inputs_of_another_form_are_named(plain, form):
    inputs, message = OTHER_FORMS[form]
    uses = [lambda x: plain.predict(x, verbose=0), lambda x: plain.fit(x, LABELS, verbose=0)]
    if form != "no images":
        uses.append(plain)
    for use in uses:
        with pytest.raises(InputError, match=f"(?s){message}"):
            use(inputs)


@pytest.mark.parametrize("form", ["an array", "a list", "images of several sizes", "ragged", "nothing to look at"])
def test_inputs_of_another_form_are_named_before_the_model_is_built(form):
    inputs, message = OTHER_FORMS[form]
    with pytest.raises(InputError, match=f"(?s){message}"):
        CASES["gaussian"].make()(inputs)
