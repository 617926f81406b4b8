"""Ready configurations. Change what differs with ``PRESETS["cpu"].replace(num_classes=55)``."""

from __future__ import annotations

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

PRESETS = {"cpu": CPU, "paper": PAPER}
