"""Networks as encoders: pixels scaled as each wants them, frozen or not, saved whole, maps joined on one grid."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvs.backbones import EfficientNetLite0, EncoderConfig, ImageEncoder, encoder_config, join_on_grid, make_encoder
from tfvs.backbones.pixel_scaling import scale_pixels, scaling_of
from tfvs.errors import ConfigError, DataError

RNG = np.random.default_rng(5)
IMAGES = RNG.random((2, 32, 40, 3)).astype(np.float32)
APPLICATIONS = {
    "ResNet50": keras.applications.resnet,
    "ResNet50V2": keras.applications.resnet_v2,
    "VGG16": keras.applications.vgg16,
    "MobileNet": keras.applications.mobilenet,
    "MobileNetV2": keras.applications.mobilenet_v2,
    "MobileNetV3Small": keras.applications.mobilenet_v3,
    "InceptionV3": keras.applications.inception_v3,
    "Xception": keras.applications.xception,
    "DenseNet121": keras.applications.densenet,
    "EfficientNetB0": keras.applications.efficientnet,
    "EfficientNetV2B0": keras.applications.efficientnet_v2,
    "ConvNeXtTiny": keras.applications.convnext,
    "NASNetMobile": keras.applications.nasnet,
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_pixels_are_scaled_as_keras_scales_them(name: str) -> None:
    expected = APPLICATIONS[name].preprocess_input(IMAGES.copy() * 255.0)
    np.testing.assert_allclose(scale_pixels(IMAGES, scaling_of(name)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "MobileNetV2"])
def test_an_application_by_name_and_as_a_model(name: str) -> None:
    by_name = make_encoder(EncoderConfig(network=name, weights=None), name="crop_encoder")
    model = getattr(keras.applications, name)(include_top=False, weights=None, pooling="avg", input_shape=(32, 40, 3))
    by_model = make_encoder(model, name="crop_encoder")
    assert by_name.scaling == by_model.scaling == scaling_of(name)
    assert by_name(IMAGES).shape.rank == 4
    expected = model(APPLICATIONS[name].preprocess_input(IMAGES * 255.0), training=False)
    np.testing.assert_allclose(by_model(IMAGES), expected, rtol=1e-3, atol=1e-5)
    assert by_model(IMAGES[..., :1]).shape == expected.shape  # grey


@pytest.mark.parametrize(("trainable", "freeze"), [(True, True), (True, False), (False, True), (False, False)])
def test_frozen_weights_and_statistics_stay(trainable: bool, freeze: bool) -> None:
    network = EfficientNetLite0(blocks=2, pooling="avg")
    encoder = ImageEncoder(network, trainable=trainable, freeze_statistics=freeze, gain=0.1)
    model = keras.Sequential([keras.Input((32, 40, 3)), encoder, keras.layers.Dense(2)])
    before = [np.array(value) for value in encoder.get_weights()]
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(IMAGES, np.array([0, 1]), verbose=0)
    changed = {
        kind: any(
            not np.array_equal(old, np.array(variable))
            for old, variable in zip(before, encoder.weights, strict=True)
            if ("moving" in variable.path) == (kind == "statistics")
        )
        for kind in ("weights", "statistics")
    }
    assert changed == {"weights": trainable, "statistics": trainable and not freeze}


def test_statistics_stay_where_they_were_learned() -> None:
    def make() -> keras.Model:
        return EfficientNetLite0(blocks=2, pooling="avg")

    new, learned = ImageEncoder(make()), make()
    learned.set_weights([value + 0.1 for value in learned.get_weights()])
    assert not new.freeze_statistics
    assert ImageEncoder(learned).freeze_statistics
    assert ImageEncoder(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])).freeze_statistics
    assert not ImageEncoder.from_config(
        {**new.get_config(), "network": ImageEncoder(learned).get_config()["network"]}
    ).freeze_statistics
    for weights, frozen in (("imagenet", True), (None, False)):
        config = EncoderConfig(network="efficientnet_lite0", blocks=2, weights=weights)
        # Weights that are loaded afterwards have statistics that were learned.
        assert make_encoder(config, name="crop_encoder", pretrained=False).freeze_statistics == frozen


def test_it_is_saved_whole(tmp_path: Path) -> None:
    network = EfficientNetLite0(weights="imagenet", blocks=3, feature_maps=["block_0", "block_2"])
    encoder = ImageEncoder(network, trainable=False, freeze_statistics=False, standardize=True, gain=0.5, name="maps")
    inputs = keras.Input((32, 40, 3))
    model = keras.Model(inputs, encoder(inputs))
    expected = model(IMAGES)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(loaded(IMAGES), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not loaded.trainable_weights
    first, second = ({**layer.get_config(), "network": None} for layer in (loaded.get_layer("maps"), encoder))
    assert first == second


def test_images_are_enlarged_before_they_are_read() -> None:
    convolution = keras.layers.Conv2D(4, 3, strides=2)
    encoder = ImageEncoder(convolution, enlargement=3)
    expected = convolution(keras.layers.UpSampling2D(3, interpolation="bilinear")(IMAGES))
    np.testing.assert_allclose(encoder(IMAGES), expected, atol=1e-6)
    assert encoder.compute_output_shape(IMAGES.shape) == expected.shape
    assert encoder.compute_output_shape((None, None, None, 3)) == (None, None, None, 4)
    assert ImageEncoder.from_config(encoder.get_config()).enlargement == 3
    with pytest.raises(ConfigError, match="enlargement"):
        ImageEncoder(convolution, enlargement=0)


def test_an_encoder_for_a_network_of_ones_own() -> None:
    own = make_encoder(keras.layers.Conv2D(4, 3, strides=2, name="mine"), name="crop_encoder")
    assert own.scaling == "unit"
    assert own(IMAGES).shape == (2, 15, 19, 4)
    assert make_encoder(own, name="other") is own


def test_maps_are_joined_where_they_lie() -> None:
    """Means by convolutions of stride 2, padded as TensorFlow does: a cell gets what lies at its middle."""
    height, width, cells = 40, 68, (10, 17)  # sides of 5 and 17 are odd on the way
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    level = tf.constant(np.stack([y, x], -1)[np.newaxis].astype(np.float32))
    maps = []
    for side in (3, 3, 5):
        mean = tf.fill([side, side, 2, 1], 1.0 / side**2)
        level = tf.nn.depthwise_conv2d(level, mean, strides=[1, 2, 2, 1], padding="SAME")
        maps.append(level)
    joined = join_on_grid(maps, cells, (height, width)).numpy()
    assert joined.shape == (1, *cells, 6)
    centres = np.stack(np.meshgrid(*((np.arange(n) + 0.5) / n for n in cells), indexing="ij"), -1)
    for first, edge in ((0, 1), (2, 2), (4, 4)):  # beyond are the means of padding
        inner = slice(edge, -edge)
        np.testing.assert_allclose(joined[0, inner, inner, first : first + 2], centres[inner, inner], atol=1e-3)
    other = tf.constant(RNG.random((1, 6, 10, 3)).astype(np.float32))  # of no network that halves
    np.testing.assert_allclose(join_on_grid(other, (6, 10), (20, 36)), other, atol=1e-6)


def test_configurations() -> None:
    assert encoder_config(None) is None
    config = encoder_config({"network": "efficientnet_lite0", "feature_maps": ["block_1"], "blocks": 2})
    assert config == EncoderConfig(network="efficientnet_lite0", feature_maps=("block_1",), blocks=2)
    assert encoder_config("MobileNetV2") == EncoderConfig(network="MobileNetV2")
    assert encoder_config(config.to_dict()) == config
    for wrong in (
        {"network": "resnet"},
        {"network": "MobileNetV2", "blocks": 3},
        {"network": "efficientnet_lite0", "scaling": "other"},
        {"network": "efficientnet_lite0", "gain": 0.0},
        {"network": "efficientnet_lite0", "unknown": 1},
        keras.layers.Dense(3),
        7,
    ):
        with pytest.raises(ConfigError):
            encoder_config(wrong)
    with pytest.raises(ConfigError, match="feature maps"):
        EncoderConfig(network="MobileNetV2", weights=None, feature_maps=("none",)).make_network()
    with pytest.raises(ConfigError, match="frozen to"):
        EncoderConfig(network="efficientnet_lite0", weights=None, blocks=1, frozen_to="block_1").make_network()
    with pytest.raises(DataError):
        EncoderConfig(network="MobileNetV2", weights="/no/such/file").make_network()
    with pytest.raises(ConfigError, match="lie on a map"):
        join_on_grid(tf.zeros([2, 5]), (2, 2), (8, 8))


def test_a_named_network_s_weights_are_found_by_the_encoder_s_name() -> None:
    """Learning rates go by parts of the variables' paths."""
    config = EncoderConfig(network="efficientnet_lite0", weights=None, blocks=1)
    encoder = make_encoder(config, name="crop_encoder")
    encoder.build((None, 32, 32, 3))
    assert encoder.trainable_variables
    assert all("crop_encoder" in variable.path for variable in encoder.variables)


def test_the_first_layers_stay_as_they_are() -> None:
    config = EncoderConfig(network="efficientnet_lite0", weights=None, blocks=3, frozen_to="block_1")
    encoder = make_encoder(config, name="crop_encoder")
    encoder.build((None, 32, 32, 3))
    assert {variable.path.split("/")[-3] for variable in encoder.trainable_variables} == {
        f"block_2_{part}_conv" for part in ("expand", "depthwise", "project")
    }
