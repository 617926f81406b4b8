"""What each layer promises beyond the conformance suite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvs.errors import ConfigError
from tfvs.layers import (
    BatchNormalization,
    ConvDecoder,
    ConvEncoder,
    CropClassifier,
    CropEncoder,
    DenseBlock,
    GroupNorm,
    LocationHead,
    MapEncoder,
    ResidualBlock,
    SpatialAttention,
    VRNNCell,
)
from tfvs.layers.crop_classifier import LOOK_POOLINGS
from tfvs.layers.posteriors import GaussianPosterior
from tfvs.layers.spatial_attention import spread_anchors
from tfvs.ops import boxes as box_ops

RNG = np.random.default_rng(3)


def test_group_norm_is_keras_group_normalization():
    x = tf.constant(RNG.normal(2.0, 3.0, (4, 7, 9, 12)), tf.float32)
    ours, keras_own = GroupNorm(4), keras.layers.GroupNormalization(4)
    for layer in (ours, keras_own):
        layer.build(x.shape)
        layer.gamma.assign(np.linspace(0.5, 2.0, 12))
        layer.beta.assign(np.linspace(-1.0, 1.0, 12))
    results = []
    for layer in (ours, keras_own):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y**3)
        results.append([y, tape.gradient(loss, x)])
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-3)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("training", [True, False])
def test_batch_normalization_is_that_of_keras(training, policy):
    """Values, gradients, and the statistics that are kept."""
    x = tf.constant(RNG.normal(2.0, 3.0, (4, 7, 9, 6)), tf.float32)
    results = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9, dtype=policy)
        layer.build(x.shape)
        layer.set_weights([np.linspace(*ends, 6) for ends in ((0.5, 2.0), (-1.0, 1.0), (1.0, 3.0), (4.0, 9.0))])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(tf.cast(x, layer.compute_dtype), training=training)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        results.append([y, *tape.gradient(loss, [x, *layer.trainable_variables]), *layer.non_trainable_variables])
    for ours, theirs in zip(*results, strict=True):
        ours, theirs = (keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")) for value in (ours, theirs))
        rounding = 1e-5 if policy == "float32" else 1e-2
        np.testing.assert_allclose(ours, theirs, rtol=rounding, atol=10 * rounding * max(1.0, np.abs(theirs).max()))


def test_convolutions_before_the_grid_see_the_cells_beside_theirs():
    """A pixel at the border of a cell changes the features of the cell beside it, where a stem reads them."""
    proxy = np.zeros((1, 8, 8, 1), "float32")
    proxy[0, 3, 4] = 1.0  # the first column of the third cell
    for stem, seen_beside in (((), False), ((4,), True)):
        keras.utils.set_random_seed(1)
        layer = MapEncoder((4, 4), (6,), (1,), units=3, stem_filters=stem)
        layer.build([(None, 8, 8, 1)])
        changed = np.abs(layer([proxy])[1] - layer([0 * proxy])[1]).max(-1)[0]  # [rows, columns]
        assert changed[1, 2] > 0
        assert (changed[1, 1] > 0) == seen_beside


@pytest.mark.parametrize("latent_size", [3, 5])
def test_locations_stay_inside_and_all_gradients_arrive(latent_size):
    head = LocationHead(0.2)
    latents = tf.constant(RNG.normal(0, 0.5, (8, 2, latent_size)), tf.float32)
    sizes = tf.constant(RNG.integers(20, 300, (8, 2)), tf.int32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        theta = head(latents, sizes, tf.constant(0.7))
        parts = [tf.reduce_sum(theta[..., i]) for i in range(3)]
    assert np.all((theta[..., 0] > 0.2) & (theta[..., 0] < 0.7))
    boxes = box_ops.boxes_from_theta(theta, sizes[:, None]).numpy()
    assert boxes.min() >= -1e-5
    assert boxes.max() <= 1 + 1e-5
    for part in parts:
        assert np.all(np.abs(tape.gradient(part, latents).numpy()).sum(-1) > 0)


def test_a_place_amid_the_image_is_the_centre_of_its_crop_at_every_zoom():
    place = tf.constant([[[0.0, 0.1, -0.05]]])
    for widest in (0.3, 0.5, 0.7):
        theta = LocationHead(0.2)(place, tf.constant([[80, 80]]), tf.constant(widest))
        np.testing.assert_allclose(theta[0, 0, 1:], place[0, 0, 1:], atol=0.006)


def test_a_clipped_place_is_exact_until_the_crop_would_leave_the_image():
    places = tf.constant([[[0.0, 0.5, -0.7], [0.0, 0.99, -2.0]]])
    theta = LocationHead(0.1, border="clip")(places, tf.constant([[100, 100]]), tf.constant(0.1))
    np.testing.assert_allclose(theta[0, 0], [0.1, 0.5, -0.7], atol=1e-6)
    np.testing.assert_allclose(theta[0, 1], [0.1, 0.9, -0.9], atol=1e-6)


def test_a_crop_as_wide_as_the_image_stays_finite():
    latents = tf.constant([[[9.0, 0.3, -2.0], [9.0, 0.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(latents)
        theta = LocationHead(0.2)(latents, tf.constant([[50, 90]]), tf.constant(1.0))
    assert np.all(np.isfinite(theta))
    assert np.all(np.isfinite(tape.gradient(theta, latents)))


class TestSpatialAttention:
    def attention(self, **weights):
        layer = SpatialAttention()
        layer.build((None, 16, 16, 2), (None, 3))
        for name, value in weights.items():
            getattr(layer, name).assign(value)
        return layer

    def test_begins_at_its_anchor(self):
        anchors = spread_anchors(4)
        feature_map, query = tf.zeros([2, 16, 16, 2]), tf.ones([2, 3])
        for anchor in anchors:
            place = self.attention()(feature_map, query, anchor)
            np.testing.assert_allclose(place, [anchor, anchor], atol=0.1)

    def test_of_two_things_alike_it_finds_the_one_nearer_to_the_anchor(self):
        feature_map = np.zeros((1, 16, 16, 2), "float32")
        feature_map[0, 3, 2] = feature_map[0, 12, 13] = 1.0  # centres at (-0.6875, -0.5625) and (0.6875, 0.5625)
        layer = self.attention(log_gain=4.0)
        layer.query.kernel.assign(tf.ones_like(layer.query.kernel))
        for anchor, found in (([-0.5, -0.5], [-0.6875, -0.5625]), ([0.5, 0.5], [0.6875, 0.5625])):
            np.testing.assert_allclose(layer(feature_map, tf.ones([1, 3]), tf.constant(anchor))[0], found, atol=0.02)
        between = layer(feature_map, tf.ones([1, 3]))[0]
        np.testing.assert_allclose(between, [0.0, 0.0], atol=0.02)

    def test_the_length_of_the_query_does_not_matter(self):
        feature_map = tf.constant(RNG.random((2, 16, 16, 2)), tf.float32)
        layer, query = self.attention(), tf.constant(RNG.random((2, 3)), tf.float32)
        np.testing.assert_allclose(layer(feature_map, query), layer(feature_map, 100.0 * query), atol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 9])
def test_anchors_are_apart_and_inside(number):
    anchors = spread_anchors(number)
    assert anchors.shape == (number, 2)
    assert len(np.unique(anchors, axis=0)) == number
    assert np.abs(anchors).max() < 1.0
    np.testing.assert_allclose(anchors.mean(axis=0), 0.0, atol=0.2)


def test_decoder_cuts_to_odd_sizes():
    assert ConvDecoder((13, 22, 3), filters=(8, 4))(tf.zeros([2, 5])).shape == (2, 13, 22, 3)


def test_batch_normalization_moves_its_statistics_only_while_training():
    block = DenseBlock(4, "batch")
    x = tf.constant(RNG.normal(5.0, 1.0, (64, 3)), tf.float32)
    block(x, training=False)
    before = block.norm.moving_mean.numpy().copy()
    block(x, training=False)
    np.testing.assert_array_equal(block.norm.moving_mean.numpy(), before)
    block(x, training=True)
    assert np.abs(block.norm.moving_mean.numpy() - before).max() > 1e-4


def test_residual_block_without_weights_is_relu():
    block = ResidualBlock(4)
    x = tf.constant(RNG.normal(size=(2, 6, 6, 4)), tf.float32)
    block.build(x.shape)
    block.conv_2.kernel.assign(tf.zeros_like(block.conv_2.kernel))
    np.testing.assert_allclose(block(x), tf.nn.relu(x), atol=1e-5)


def classifier(**kwargs):
    return CropClassifier(CropEncoder((8,), (2,)), 5, **kwargs)


class TestCropClassifier:
    @pytest.mark.parametrize("pooling", LOOK_POOLINGS)
    def test_order_of_crops_does_not_matter(self, pooling):
        layer = classifier(look_pooling=pooling)
        crops = tf.constant(RNG.random((2, 3, 10, 10, 1)), tf.float32)
        np.testing.assert_allclose(layer(crops), layer(crops[:, ::-1]), atol=1e-5)

    @pytest.mark.parametrize("pooling", LOOK_POOLINGS)
    def test_reads_the_state_only_if_asked(self, pooling):
        crops = tf.constant(RNG.random((2, 3, 10, 10, 1)), tf.float32)
        state = tf.constant(RNG.normal(size=(2, 3, 6)), tf.float32)
        for reads in (False, True):
            layer = classifier(reads_state=reads, look_pooling=pooling)
            difference = np.abs(layer(crops, state) - layer(crops, 2.0 * state)).max()
            assert bool(difference > 1e-6) == reads

    @pytest.mark.parametrize(
        ("pooling", "scales"),
        [(name, number) for name in ("mean", "evidence", "seen") for number in (1, 2)] + [("count", 1)],
    )
    def test_without_a_look_is_what_the_other_looks_say(self, pooling, scales):
        layer = classifier(look_pooling=pooling, num_scales=scales)
        crops = tf.constant(RNG.random((2, 3 * scales, 10, 10, 1)), tf.float32)
        layer(crops)
        if pooling in ("seen", "count"):
            layer.bias.assign([0.3, -0.1, 0.0, 0.2, 0.5])
        answers = layer.answer(crops, without_each=True)
        by_look = tf.reshape(crops, [2, 3, scales, 10, 10, 1])
        for look in range(3):
            rest = tf.concat([by_look[:, :look], by_look[:, look + 1 :]], axis=1)
            expected = layer(tf.reshape(rest, [2, 2 * scales, 10, 10, 1]))
            np.testing.assert_allclose(answers.logits_without[:, look], expected, atol=1e-4)

    @pytest.mark.parametrize("reads_state", [False, True])
    def test_evidence_adds_up_and_a_blank_crop_gives_none(self, reads_state):
        layer = classifier(look_pooling="evidence", reads_state=reads_state)
        crops = RNG.random((2, 3, 10, 10, 1)).astype("float32")
        crops[1, 2] = 0.0
        state = tf.constant(RNG.normal(size=(2, 3, 6)), tf.float32)
        answers = layer.answer(tf.constant(crops), state)
        np.testing.assert_allclose(np.sum(answers.evidence, 1), answers.logits, atol=1e-5)
        np.testing.assert_allclose(answers.evidence[1, 2], 0.0, atol=1e-5)
        assert np.abs(answers.evidence[0]).max() > 1e-3

    def test_nothing_seen_is_a_class_of_its_own(self):
        layer = classifier(look_pooling="seen", none_class=2)
        crops = tf.constant(RNG.random((4, 3, 10, 10, 1)), tf.float32)
        layer(crops)
        layer.bias.assign([0.3, -0.1, 0.7, 0.2, 0.5])
        answers = layer.answer(crops)
        odds = answers.evidence.numpy()
        np.testing.assert_allclose(odds[..., 2], 0.0, atol=1e-6)
        expected = layer.bias.numpy() + np.log(np.exp(odds).sum(1))
        expected[:, 2] = 0.7
        np.testing.assert_allclose(answers.logits, expected, atol=1e-5)

    def test_counts_of_looks_are_added(self):
        layer = classifier(look_pooling="count")
        crops = tf.constant(RNG.random((4, 3, 10, 10, 1)), tf.float32)
        layer(crops)
        layer.bias.assign([0.0, 2.1, 3.7, 6.2, 8.3])
        answers = layer.answer(crops, without_each=True)
        for image in range(4):
            # One look alone gives its own distribution: that of no further thing has no nats left to give.
            alone = [np.exp(layer.answer(crops[image : image + 1, t : t + 1]).logits[0]) for t in range(3)]
            np.testing.assert_allclose([np.sum(one) for one in alone], 1.0, rtol=1e-5)
            whole = np.convolve(np.convolve(alone[0], alone[1]), alone[2])[:5]
            np.testing.assert_allclose(np.exp(answers.logits[image]), whole, rtol=1e-4)
        lost = answers.logits[:, tf.newaxis] - answers.logits_without
        np.testing.assert_allclose(answers.evidence, lost, atol=1e-5)

    def test_counts_take_one_crop_per_look_and_no_weights(self):
        with pytest.raises(ConfigError, match="count a thing twice"):
            classifier(look_pooling="count", num_scales=2)
        with pytest.raises(ConfigError, match="has no weight"):
            classifier(look_pooling="count").answer(tf.zeros((2, 3, 10, 10, 1)), weights=tf.ones((2, 3)))

    def test_any_network_may_read_the_crops(self):
        network = keras.Sequential([keras.Input((10, 10, 1)), keras.layers.Flatten(), keras.layers.Dense(7)])
        layer = CropClassifier(network, 4, look_pooling="evidence")
        assert layer(tf.constant(RNG.random((2, 3, 10, 10, 1)), tf.float32)).shape == (2, 4)


class TestVRNNCell:
    def step(self, training=False, state="gru", initial_state_noise=0.1, **kwargs):
        posterior = GaussianPosterior(prior_units=8, posterior_units=8, seed=1, **kwargs)
        cell = VRNNCell(
            posterior, state=state, state_size=8, latent_units=4, seed=1, initial_state_noise=initial_state_noise
        )
        features = tf.constant(RNG.normal(size=(16, 6)), tf.float32)
        cell.build(features.shape)
        states = cell.get_initial_states(16, training=training)
        return cell(features, states, looking=cell.posterior.begin(features, None), training=training), states

    @pytest.mark.parametrize(("state", "tensors"), [("gru", 1), ("lstm", 2)])
    def test_states(self, state, tensors):
        step, states = self.step(state=state)
        assert len(step.states) == len(states) == tensors
        assert step.states[0].shape == (16, 8)

    def test_mean_when_predicting_sample_while_training(self):
        found = self.step(training=False)[0].proposal
        np.testing.assert_array_equal(found.latent, found.posterior_loc)
        found = self.step(training=True)[0].proposal
        standardized = ((found.latent - found.posterior_loc) / found.posterior_scale).numpy()
        assert 0.6 < standardized.std() < 1.4

    def test_the_posterior_starts_narrow_and_the_prior_standard(self):
        found = self.step()[0].proposal
        np.testing.assert_allclose(found.posterior_scale, 0.1, atol=0.01)
        np.testing.assert_allclose(found.prior_scale, 1.0, atol=1e-5)
        np.testing.assert_allclose(found.prior_loc, 0.0, atol=1e-6)

    @pytest.mark.parametrize("stddev", [0.9, 5])
    def test_a_fixed_posterior_stddev_has_no_weights(self, stddev):
        np.testing.assert_allclose(self.step(stddev=stddev)[0].proposal.posterior_scale, stddev, rtol=1e-6)

    def test_noise_on_the_initial_state_only_while_training(self):
        _, states = self.step(training=True, initial_state_noise=0.5)
        assert 0.3 < states[0].numpy().std() < 0.7
        _, states = self.step(training=False, initial_state_noise=0.5)
        assert states[0].numpy().std() == 0.0

    @pytest.mark.parametrize("wrong", [{"latent_size": 0}, {"stddev": 0.0}, {"stddev": -1.0}])
    def test_a_posterior_that_cannot_work_is_named(self, wrong):
        with pytest.raises(ConfigError, match="Received"):
            GaussianPosterior(**wrong)

    def test_an_unknown_state_is_named(self):
        with pytest.raises(ConfigError, match="Received"):
            VRNNCell(GaussianPosterior(), state="rnn")


@pytest.mark.parametrize(("side", "halvings"), [(32, 0), (64, 0), (65, 1), (180, 2), (512, 3)])
def test_large_proxies_are_halved_before_the_map_is_flattened(side, halvings):
    encoder = ConvEncoder(filters=(2, 3, 3), strides=(2, 1, 2), units=4)
    features, feature_map = encoder(tf.zeros([1, side, side // 2, 1]))
    assert len(encoder.stem) == halvings
    assert features.shape == (1, 4)
    assert feature_map.shape[1:3] == encoder.compute_output_shape((1, side, side // 2, 1))[1][1:3]
    assert feature_map.shape[1] <= 32  # twice the flattened map
    assert encoder.head.dense.kernel.shape[0] <= 16 * 16 * 3
    decoder = ConvDecoder((side, side // 2, 2), filters=(3, 2, 2))
    assert decoder(tf.zeros([1, 5])).shape == (1, side, side // 2, 2)
    assert decoder.dense.units <= 16 * 16 * 3
