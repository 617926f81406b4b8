"""The saccader as a Keras model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvs
from tfvs.errors import ConfigError, InputError
from tfvs.models.saccader_output import SaccaderOutput
from tfvs.ops import gaussian

# Every field that has a choice, set to what it is not by default.
OTHER = {
    "latent_size": 5,
    "attends": False,
    "crop_pooling": "mean",
    "state": "lstm",
    "likelihood": "logistic",
    "posterior_stddev": 0.6,
    "initial_state_noise": 0.0,
    "classifier_reads_state": True,
    "normalization": "batch",
    "crop_stem_kernel": 3,
    "kl_weight": 0.5,
    "reconstruction_weight": 0.2,
    "classification_weight": 2.0,
    "margin_px": 2,
}


def assert_same(outputs: SaccaderOutput, others: SaccaderOutput, atol: float = 0.0) -> None:
    for name, value, other in zip(outputs._fields, outputs, others, strict=True):
        assert (value is None) == (other is None), name
        if value is None:
            continue
        np.testing.assert_allclose(
            np.asarray(value, "float32"), np.asarray(other, "float32"), atol=atol, rtol=atol, err_msg=name
        )


def traces_of(model):
    """A list that grows with each trace of the model's training step."""
    traced, step = [], model.train_step
    model.train_step = lambda batch: traced.append(batch) or step(batch)
    return traced


def test_outputs(make_model, data):
    output = make_model()(data[0])
    shapes = {
        "logits": (8, 4),
        "boxes": (8, 2, 4),
        "crops": (8, 2, 12, 12, 1),
        "kl": (8, 2),
        "log_likelihood": (8, 2),
        "reconstruction": (8, 2, 9, 12, 1),
        "posterior_loc": (8, 2, 3),
        "posterior_scale": (8, 2, 3),
        "prior_loc": (8, 2, 3),
        "prior_scale": (8, 2, 3),
        "entropy": (8,),
        "valid": (8,),
    }
    assert {name: tuple(value.shape) for name, value in output._asdict().items() if value is not None} == shapes
    assert float(tf.reduce_min(output.boxes)) >= -1e-6
    assert float(tf.reduce_max(output.boxes)) <= 1 + 1e-6
    sides = (output.boxes[..., 2:] - output.boxes[..., :2]) * [30, 40]
    np.testing.assert_allclose(sides[..., 0], sides[..., 1], rtol=1e-4)


def test_kl_is_of_the_parameters_given(make_model, data):
    output = make_model()(data[0])
    expected = gaussian.kl_divergence(
        output.posterior_loc, output.posterior_scale, output.prior_loc, output.prior_scale
    )
    np.testing.assert_allclose(output.kl, expected, rtol=1e-5)


def test_locations_do_not_depend_on_the_image(make_model, data):
    model, inputs = make_model(), data[0]
    boxes = model(inputs).boxes
    np.testing.assert_array_equal(model({**inputs, "image": 1.0 - inputs["image"]}).boxes, boxes)


def test_locate_then_classify_is_the_call(make_model, data):
    model, inputs = make_model(classifier_reads_state=True), data[0]
    output = model(inputs)
    trajectory = model.locate(tf.constant(inputs["proxy"]), tf.constant([[30, 40]] * 8))
    np.testing.assert_allclose(trajectory.boxes, output.boxes, atol=1e-6)
    logits = model.classify_crops(output.crops, trajectory.hidden_states)
    np.testing.assert_allclose(logits, output.logits, atol=1e-6)


@pytest.mark.parametrize("changes", [{}, {"latent_size": 4, "attends": False}])
def test_every_weight_has_a_gradient(make_model, data, changes):
    model = make_model(**changes)
    inputs, labels = data
    with tf.GradientTape() as tape:
        loss = model.compute_loss(None, labels, model(inputs, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    without = [w.path for w, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert without == []


def test_locations_learn_from_the_class_alone(make_model, data):
    model = make_model(kl_weight=0.0, reconstruction_weight=0.0)
    inputs, labels = data
    assert model(inputs).reconstruction is None
    assert model.decoder is None
    with tf.GradientTape() as tape:
        loss = model.compute_loss(None, labels, model(inputs, training=True))
    bias = tape.gradient(loss, model.vrnn.posterior.head.bias.value).numpy()
    assert np.all(np.abs(bias[:3]) > 0.0)  # s, x and y


def test_the_loss_is_the_weighted_bound(make_model, data):
    model = make_model(kl_weight=0.3, reconstruction_weight=0.2, classification_weight=2.0)
    inputs, labels = data
    output = model(inputs)
    weights = np.arange(8, dtype="float32")
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)(labels, output.logits)
    terms = 2.0 * cross_entropy - 0.2 * np.sum(output.log_likelihood, 1) + 0.3 * np.sum(output.kl, 1)
    expected = np.mean(terms * weights)
    assert float(model.compute_loss(None, labels, output, weights)) == pytest.approx(float(expected), rel=1e-5)


def test_images_that_could_not_be_read_weigh_nothing(make_model, data):
    model = make_model()
    inputs, labels = data
    output = model(inputs)
    valid = np.array([True] * 7 + [False])
    broken = output._replace(valid=valid, kl=tf.where(valid[:, None], output.kl, np.nan))
    weighted = model.compute_loss(None, labels, output, valid.astype("float32"))
    assert float(model.compute_loss(None, labels, broken)) == pytest.approx(float(weighted))


def test_it_learns(make_model):
    keras.utils.set_random_seed(8)
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 4, 64)
    rows, columns = np.mgrid[:24, :24] // 3 % 2
    patterns = np.stack([rows, columns, rows ^ columns, rows | columns]).astype("float32")
    image = patterns[labels][..., None]
    inputs = {"image": image, "proxy": image[:, ::2, ::2]}
    model = make_model()
    traced = traces_of(model)
    model.compile(keras.optimizers.Adam(5e-3), metrics=["accuracy"])
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels)).shuffle(64, seed=8).batch(32)
    history = model.fit(dataset, epochs=60, verbose=0).history
    assert len(traced) == 1  # the model was built for the data set, and so was its optimizer
    assert history["loss"][-1] < history["loss"][0]
    assert model.evaluate(inputs, labels, verbose=0, return_dict=True)["accuracy"] > 0.9
    assert {"classification", "reconstruction", "kl_1", "kl_2"} <= set(history)
    asked = make_model()
    asked.compile("adam")
    asked.evaluate(inputs, labels, verbose=0)
    assert not asked.optimizer.built, "evaluating takes no memory for the optimizer"


@pytest.mark.parametrize("changes", [{}, OTHER, {"likelihood": "gaussian", "normalization": "none"}])
def test_keras_file_and_saved_model(make_model, data, tmp_path, changes):
    model, inputs = make_model(**changes), data[0]
    model(inputs)
    model.max_scale.assign(0.45)
    expected = model(inputs)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.config == model.config
    assert_same(loaded(inputs), expected)

    spec = {name: tf.TensorSpec((None, *value.shape[1:])) for name, value in inputs.items()}

    @tf.function
    def serve(image: tf.Tensor, proxy: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model({"image": image, "proxy": proxy})._asdict()
        return {name: value for name, value in outputs.items() if value is not None}

    signature = serve.get_concrete_function(**spec)
    tf.saved_model.save(model, str(tmp_path / "saved"), signatures=signature)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    outputs = served.signatures["serving_default"](**{name: tf.constant(value) for name, value in inputs.items()})
    assert_same(SaccaderOutput(**outputs), expected, atol=1e-5)


def test_an_unknown_key_in_a_saved_config_is_named(make_model):
    config = make_model().get_config()
    with pytest.raises(ConfigError, match="num_glimpses"):
        tfvs.VariationalSaccader.from_config({**config, "num_glimpses": 3})


def test_config_or_fields():
    with pytest.raises(ConfigError, match="not both"):
        tfvs.VariationalSaccader(tfvs.PRESETS["cpu"], num_steps=3)


def test_several_trajectories_are_averaged_as_probabilities(make_model, data):
    inputs = data[0]
    output = make_model(num_samples=5)(inputs)
    np.testing.assert_allclose(np.exp(output.logits).sum(-1), 1.0, rtol=1e-5)
    assert output.boxes.shape == (8, 2, 4)
    assert np.all(output.entropy > 0.0)
    assert np.all(output.entropy <= np.log(4) + 1e-5)
    single = make_model(num_samples=1, posterior_stddev=1e-6)
    several = make_model(num_samples=3, posterior_stddev=1e-6)
    expected = single(inputs)
    several(inputs)
    several.set_weights(single.get_weights())
    actual = several(inputs)
    np.testing.assert_allclose(tf.nn.softmax(actual.logits), tf.nn.softmax(expected.logits), atol=1e-4)
    np.testing.assert_allclose(actual.entropy, expected.entropy, atol=1e-4)


def test_integer_pixels(make_model, data):
    model = make_model()
    as_bytes = {name: np.round(value * 255).astype("uint8") for name, value in data[0].items()}
    as_floats = {name: value.astype("float32") / 255 for name, value in as_bytes.items()}
    assert_same(model(as_bytes), model(as_floats), atol=1e-6)
    with pytest.raises(InputError, match="int32"):
        model({name: value.astype("int32") for name, value in as_bytes.items()})


def test_mixed_precision(make_model, data):
    full, half = make_model(), make_model(dtype="mixed_float16")
    inputs, labels = data
    expected = full(inputs)
    half(inputs)
    half.set_weights(full.get_weights())
    output = half(inputs)
    assert {value.dtype for value in output if value is not None} == {tf.float32, tf.bool}
    np.testing.assert_allclose(output.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(output.logits, expected.logits, atol=0.05)
    half.compile("adam", metrics=["accuracy"])
    assert np.isfinite(half.fit(inputs, labels, verbose=0).history["loss"][0])


@pytest.mark.slow  # the same of places in test_small_things.py
def test_jit_compile(make_model, data):
    model = make_model()
    inputs, labels = data
    expected = model(inputs)
    model.compile("sgd", jit_compile=True)
    assert_same(SaccaderOutput(*model.predict(inputs, verbose=0)), expected, atol=1e-3)
    assert np.isfinite(model.fit(inputs, labels, verbose=0).history["loss"][0])


def test_summary(make_model, data):
    model = make_model()
    model(data[0])
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert all(name in "\n".join(lines) for name in ("encoder", "vrnn", "location", "classifier", "decoder"))


def test_the_papers_size():
    model = tfvs.VariationalSaccader(tfvs.PRESETS["paper"])
    model.build({"proxy": (None, 32, 32, 1), "image": (None, 100, 100, 1)})
    assert model.count_params() == pytest.approx(7.4e6, rel=0.02)


class TestBadInput:
    @pytest.mark.parametrize(
        ("shapes", "named"),
        [
            ({"image": (None, 30, 30, 1)}, "proxy"),
            ({"proxy": (None, 9, 9, 1)}, "pyramid"),
            ({"proxy": (None, None, 9, 1), "image": (None, 30, 30, 1)}, "known"),
            ({"proxy": (None, 9, 9, 1), "image": (None, 30, 8, 1)}, "larger than the image"),
            ({"proxy": (None, 9, 9, 1), "image": (None, 30, 30)}, "B, H, W, C"),
        ],
    )
    def test_shapes(self, make_model, shapes, named):
        with pytest.raises(InputError, match=named):
            make_model().build(shapes)

    def test_channels(self, make_model, data):
        with pytest.raises(InputError, match="3 channels"):
            make_model(channels=3).build({"proxy": (None, 9, 9, 1), "image": (None, 30, 30, 1)})
        model = make_model()
        model(data[0])
        with pytest.raises(InputError, match="1 channels"):
            model({**data[0], "image": np.zeros([8, 30, 40, 3], "float32")})

    def test_a_broken_image_fails_alone_when_predicting(self, make_model, data):
        inputs = data[0]
        model = make_model()
        expected = model.predict(inputs, verbose=0)
        inputs["image"][3] = np.nan
        inputs["proxy"][5] = np.nan
        output = model.predict(inputs, verbose=0)
        assert output.valid.tolist() == [True, True, True, False, True, False, True, True]
        np.testing.assert_allclose(output.logits[output.valid], expected.logits[output.valid], atol=1e-5)

    def test_labels(self, make_model, data):
        inputs, labels = data
        model = make_model()
        output = model(inputs)
        with pytest.raises(InputError, match="needs labels"):
            model.compute_loss(inputs, None, output)
        with pytest.raises(InputError, match="argmax"):
            model.compute_loss(inputs, np.eye(4)[labels], output)
