"""The layers that cut crops are the model's: found by name, replaced, saved, and called wherever a crop is cut."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvs
from tests.models.pyramid_inputs import build_model, make_pyramids
from tfvs.errors import ConfigError
from tfvs.images.crops.reader import TileCrops
from tfvs.layers import LocalizedSpatialTransformer, SpatialTransformer


@keras.saving.register_keras_serializable("tfvs_test")
class Grey(SpatialTransformer):
    """Shows the same grey whatever the image."""

    def __init__(self, crop_size, grey=0.25, **kwargs):
        super().__init__(crop_size, **kwargs)
        self.grey = grey

    def call(self, image, boxes):
        return tf.zeros_like(super().call(image, boxes)) + self.grey

    def get_config(self):
        return {**super().get_config(), "grey": self.grey}


@keras.saving.register_keras_serializable("tfvs_test")
class GreyTiles(LocalizedSpatialTransformer):
    """Likewise, of pyramids."""

    def crop_tiles(self, features, boxes, roots, channels):
        read = super().crop_tiles(features, boxes, roots, channels)
        return TileCrops(tf.ones_like(read.crops), read.valid, read.tiles_read)


def test_the_layers_are_found_by_name_and_made_of_the_configuration(make_model):
    model = make_model(margin_px=3, max_level=2)
    whole, localized = (model.get_layer(name) for name in ("spatial_transformer", "localized_spatial_transformer"))
    assert type(whole) is SpatialTransformer
    assert type(localized) is LocalizedSpatialTransformer
    assert (whole.crop_size, whole.max_level, localized.margin_px, localized.max_level) == (12, 2, 3, 2)


def test_replaced_layers_are_called_and_saved(make_model, data, tmp_path):
    model = make_model(
        spatial_transformer=Grey(12, grey=0.75, name="grey"), localized_spatial_transformer=GreyTiles(12, name="tiles")
    )
    output = model(data[0])
    np.testing.assert_array_equal(output.crops, 0.75)
    assert model.get_layer("grey") is model.spatial_transformer
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert (type(loaded.spatial_transformer), loaded.spatial_transformer.grey) == (Grey, 0.75)
    assert type(loaded.get_layer("tiles")) is GreyTiles
    np.testing.assert_array_equal(loaded(data[0]).logits, output.logits)


def test_the_tiles_of_pyramids_come_from_the_localized_transformer(tmp_path):
    dataset, _ = make_pyramids(tmp_path)
    config = build_model(tmp_path).config
    model = tfvs.VariationalSaccader(config, localized_spatial_transformer=GreyTiles(config.crop_size))
    for inputs, _ in dataset:
        output = model(inputs)
        assert output.valid.numpy().all()
        np.testing.assert_array_equal(output.crops, 1.0)


@pytest.mark.parametrize("layer", [Grey(11), LocalizedSpatialTransformer(12, margin_px=2), Grey(12, max_level=1)])
def test_a_layer_that_cuts_other_crops_than_the_configuration_says_is_refused(make_model, layer):
    name = "localized_spatial_transformer" if isinstance(layer, LocalizedSpatialTransformer) else "spatial_transformer"
    with pytest.raises(ConfigError, match="differs from the configuration"):
        make_model(**{name: layer})


def test_dense_images_by_either_transformer(make_model, data):
    enlarging = {"min_scale": 0.1, "max_scale": 0.2}  # 3 to 6 pixels seen with 12, where a margin matters
    whole, localized, lossy = (
        make_model(**enlarging, **changes) for changes in ({}, {"localized": True}, {"margin_px": 0})
    )
    assert whole.dense_transformer is whole.spatial_transformer
    assert localized.dense_transformer is localized.localized_spatial_transformer
    assert lossy.dense_transformer is lossy.localized_spatial_transformer
    expected = whole(data[0])
    for model in (localized, lossy):
        model(data[0])
        model.set_weights(whole.get_weights())
    np.testing.assert_allclose(localized(data[0]).crops, expected.crops, atol=1e-5)
    assert np.abs(lossy(data[0]).crops - expected.crops).max() > 0.1  # the border of the region is lost
    with pytest.raises(ConfigError, match="margin_px=0"):
        make_model(margin_px=0, localized=False)


def test_both_transformers_train_alike(make_model, data):
    inputs, labels = data
    losses = {}
    for localized in (False, True):
        keras.utils.set_random_seed(5)
        model = make_model(localized=localized)
        model.compile(keras.optimizers.SGD(0.05))
        losses[localized] = model.fit(inputs, labels, epochs=3, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-4)


def test_one_level_or_the_level_of_the_crops_scale(make_model):
    stripes = np.tile(np.array([0.0, 1.0], "float32"), 64)[None, None, :, None].repeat(128, 1)
    inputs = {"image": stripes, "proxy": np.zeros([1, 9, 12, 1], "float32")}
    for max_level, spread in ((None, 0.0), (0, 0.2)):
        model = make_model(max_level=max_level, min_scale=0.7)  # at least 90 pixels seen with 12
        inside = model(inputs).crops[:, :, 2:-2, 2:-2]
        assert (np.std(inside) > spread) if spread else (np.abs(inside - 0.5).max() < 1e-5)
