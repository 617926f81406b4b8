"""Sizes of the saccader's networks: what reads the proxy, the recurrent cell, and what reads the crops."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.backbones.encoder import EncoderConfig, encoder_config
from tfvs.config import Config, option, require
from tfvs.layers.conv_block import CONV_NORMALIZATIONS
from tfvs.layers.dense_block import NORMALIZATIONS
from tfvs.layers.vrnn_cell import STATES
from tfvs.ops.pooling import POOLINGS


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Config):
    """Sizes of the saccader's networks, which are fields of its configuration."""

    state: str = option("gru", 'Recurrent cell: ``"gru"`` or ``"lstm"``.', choices=STATES)
    state_size: int = option(256, "Width of the recurrent state h_t.", at_least=1)
    normalization: str = option(
        "layer", 'Normalisation of dense layers: ``"layer"``, ``"batch"`` or ``"none"``.', choices=NORMALIZATIONS
    )
    encoder_filters: tuple[int, ...] = option(
        (16, 32, 32), "Channels of the convolutions that read the proxy.", at_least=1, least_items=1
    )
    encoder_strides: tuple[int, ...] = option(
        (2, 1, 2), "Strides of the convolutions that read the proxy.", at_least=1, least_items=1
    )
    encoder_units: int = option(256, "Width of the proxy's features φ_x.", at_least=1)
    decoder_filters: tuple[int, ...] = option(
        (16, 16, 8),
        "Channels before each transposed convolution of the decoder; each of these doubles both sides of the image.",
        at_least=1,
        least_items=1,
    )
    prior_units: int = option(128, "Width of the prior's hidden layer.", at_least=1)
    posterior_units: int = option(256, "Width of the posterior's hidden layer.", at_least=1)
    latent_units: int = option(64, "Width of the latent's features φ_z.", at_least=1)
    crop_filters: tuple[int, ...] = option(
        (32, 64, 128, 128), "Channels of the convolutions that read the crops.", at_least=1, least_items=1
    )
    crop_strides: tuple[int, ...] = option(
        (2, 2, 2, 1), "Strides of the convolutions that read the crops.", at_least=1, least_items=1
    )
    crop_stem_kernel: int = option(5, "Side of the kernel of the first of these convolutions, pixels.", at_least=1)
    crop_pooling: str = option(
        "max",
        'How a crop\'s feature map becomes one vector: ``"max"``, ``"mean"`` or ``"mean_max"``, both side by side.',
        choices=tuple(POOLINGS),
    )
    crop_normalization: str = option(
        "group",
        'Normalisation of the convolutions that read the crops: ``"group"``, ``"batch"`` or ``"none"``.',
        choices=CONV_NORMALIZATIONS,
    )
    standardize_crops: bool = option(
        False, "Whether each crop is brought to mean 0 and a common contrast before the network reads it."
    )
    crop_encoder: EncoderConfig | None = option(
        None,
        "A network that reads the crops in place of these convolutions: its name or the fields of an "
        ":class:`EncoderConfig`; ``crop_pooling`` pools its feature maps. None for the convolutions.",
    )
    crop_dropout: float = option(
        0.0, "Fraction of a crop's features that are dropped while training.", at_least=0, below=1
    )
    crop_units: int = option(256, "Number of features of a crop.", at_least=1)
    initial_evidence: float = option(
        1.0,
        "Factor on the initial weights that give a crop's evidence: with a small one no look says anything until "
        'something was learned. Not used with ``"mean"`` pooling.',
        above=0,
    )
    head_units: int = option(
        256, 'Width of the classifier\'s hidden layer, which only ``"mean"`` pooling has.', at_least=1
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "crop_encoder", encoder_config(self.crop_encoder))
        super().__post_init__()
        check_lengths(self, "crop_filters", "crop_strides")


def check_lengths(config: Config, name: str, other: str) -> None:
    """Checks that two fields have as many numbers.

    Args:
      config: The configuration.
      name: Name of a field that is a tuple.
      other: Name of the other field.

    Raises:
      ConfigError: They differ in length.
    """
    require(
        len(getattr(config, name)) == len(getattr(config, other)),
        f"{name} and {other} differ in length",
        expected=f"{len(getattr(config, name))} numbers in {other}",
        received=getattr(config, other),
    )
