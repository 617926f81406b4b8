"""Ready configurations of the saccader. Change what differs with ``PRESETS["cpu"].replace(num_classes=55)``."""

from __future__ import annotations

from tfvs.backbones.encoder import EncoderConfig
from tfvs.models.saccader_config import SaccaderConfig

# Trains in minutes on two CPU cores: 1.6 million parameters with a proxy of 32 × 32.
CPU = SaccaderConfig(num_classes=10)

# The paper's size, 7.4 million parameters with a proxy of 32 × 32, and its bound: every weight 1, batch norm on dense
# layers, four crops of 64 pixels, an LSTM.
PAPER = SaccaderConfig(
    num_classes=10,
    num_steps=4,
    crop_size=64,
    min_scale=0.25,
    max_scale=0.64,
    state="lstm",
    state_size=512,
    normalization="batch",
    attends=False,
    encoder_filters=(32, 64, 128),
    encoder_strides=(2, 2, 2),
    encoder_units=640,
    decoder_filters=(64, 64, 32),
    prior_units=512,
    posterior_units=512,
    latent_units=320,
    crop_filters=(32, 64, 128, 256),
    crop_strides=(2, 2, 2, 2),
    crop_stem_kernel=3,
    crop_pooling="mean",
    crop_units=1024,
    head_units=512,
    reconstruction_weight=1.0,
    kl_weight=1.0,
)

# Small things in huge images: a cell of the proxy's map per look, and evidence that adds up. Made for things of about
# 28 pixels in images of 1 500 × 1 500 and proxies of 180 × 180; crops have the pixels of the image itself. Train it
# with batches of 32, a learning rate of 1e-3 and a clip norm of 5. The prior is steep, so that the looks that training
# draws show whole things; where contrast says little, lower `prior_power`.
SMALL_THINGS = SaccaderConfig(
    num_classes=10,
    num_steps=10,
    crop_size=50,
    min_scale=1 / 30,
    max_scale=1 / 30,
    posterior="categorical",
    cells=(90, 90),
    learns_offset=False,
    prior_power=8.0,
    proxy_gain=4.0,
    map_filters=(16, 16),
    look_pooling="evidence",
    state_size=32,
    initial_state_noise=0.0,
    encoder_filters=(8,),
    encoder_strides=(4,),
    encoder_units=32,
    prior_units=32,
    posterior_units=32,
    latent_units=16,
    crop_filters=(16, 32, 64, 64),
    crop_normalization="none",
    crop_dropout=0.3,
    crop_units=64,
    reconstruction_weight=0.0,
)

# Signs in street photographs of 800 × 1 360, with proxies of 270 × 459: ImageNet weights (tfvs[imagenet]) in the crops
# and, frozen, on the proxy. The first class is "nothing seen". Train it in stages, with things pasted into images
# (`tfvs.training.stages`): 6 looks are enough then, and in use 7 looks read 14 % of the pixels, the proxy included.
# Crops are enlarged before they are read, since ImageNet's networks know larger things: this reads small signs best.
# Looks are at the middle of their cell, hence at whole pixels, in training as in use: between pixels they would be
# blurred, and the numbers on small signs have few pixels.
STREET_PHOTOGRAPHS = SaccaderConfig(
    num_classes=6,
    num_steps=7,
    crop_size=64,
    min_scale=64 / 800,
    max_scale=64 / 800,
    posterior="categorical",
    cells=(50, 85),
    inhibition_cells=1,
    learns_offset=False,
    posterior_stddev=0.001,
    map_filters=(24, 24),
    map_kernels=(3, 3),
    map_normalization="batch",
    map_reads_pixels=False,
    map_reads_place=True,
    proxy_features=EncoderConfig(
        network="efficientnet_lite0", blocks=5, feature_maps=("block_2", "block_4"), trainable=False, gain=0.1
    ),
    crop_encoder=EncoderConfig(network="efficientnet_lite0", blocks=8, frozen_to="block_1", gain=0.1, enlargement=2),
    standardize_crops=True,
    crop_dropout=0.2,
    crop_units=64,
    look_pooling="seen",
    state_size=16,
    initial_state_noise=0.0,
    encoder_units=16,
    prior_units=16,
    posterior_units=16,
    latent_units=8,
    reconstruction_weight=0.0,
)

# Counting small things that stand close together, told where by another image: each look is one square of a grid and
# none is taken twice, so that nothing is counted twice, and every look says how many things it shows. Made for battles
# of up to 22 marines among up to 100 other units, screens of 1 024 × 1 024 in tiles of 128, and minimaps of 64 × 64 on
# which a unit is a pixel. A look has the screen's own pixels, and leaves out the two along each border of its square,
# so that one tile holds it with its margin. Convolutions over the minimap in its own size learn where on the screen its
# pixels are: it is seen at another angle. Batch normalisation reads the crops better than none after as many images.
# Train it as `SMALL_THINGS`.
COUNTING = SMALL_THINGS.replace(
    num_classes=23,
    num_steps=14,
    crop_size=124,
    min_scale=124 / 1024,
    max_scale=124 / 1024,
    cells=(8, 8),
    inhibition_cells=0,
    posterior_stddev=0.0001,
    place_prior="isolated",
    thing_scale=1 / 64,
    prior_power=3.0,
    map_stem_filters=(16, 16),
    map_filters=(64, 64),
    map_kernels=(3, 3),
    map_reads_place=True,
    look_pooling="count",
    place_gradient="things",
    crop_normalization="batch",
    crop_filters=(16, 32, 64, 64, 64),
    crop_strides=(2, 2, 2, 2, 2),
    crop_pooling="mean_max",
    crop_dropout=0.1,
    crop_units=128,
)

PRESETS = {
    "cpu": CPU,
    "paper": PAPER,
    "small_things": SMALL_THINGS,
    "counting": COUNTING,
    "street_photographs": STREET_PHOTOGRAPHS,
}
