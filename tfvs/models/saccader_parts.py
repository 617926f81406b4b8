"""Makes the layers of a saccader from its configuration."""

from __future__ import annotations

from typing import Any

import keras

from tfvs.backbones.encoder import ImageEncoder
from tfvs.backbones.encoder import make_encoder as make_image_encoder
from tfvs.layers import (
    ConvEncoder,
    CropClassifier,
    CropEncoder,
    LocalizedSpatialTransformer,
    LocationHead,
    MapEncoder,
    SpatialTransformer,
    VRNNCell,
)
from tfvs.layers.posteriors import CategoricalPosterior, GaussianPosterior
from tfvs.models.saccader_config import SaccaderConfig


def make_encoder(config: SaccaderConfig, policy: Any) -> ConvEncoder | MapEncoder:
    """Makes φ_x, which gives features of the proxy and a map of them."""
    if config.cells is not None and config.has_cells:
        return MapEncoder(
            config.cells,
            config.map_filters,
            config.map_kernels,
            config.encoder_units,
            config.normalization,
            config.map_normalization,
            config.map_stem_filters,
            name="encoder",
            dtype=policy,
        )
    return ConvEncoder(
        config.encoder_filters,
        config.encoder_strides,
        config.encoder_units,
        config.normalization,
        name="encoder",
        dtype=policy,
    )


def make_vrnn(config: SaccaderConfig, policy: Any) -> VRNNCell:
    """Makes the recurrent cell and its posterior."""
    shared: dict[str, Any] = {
        "prior_units": config.prior_units,
        "posterior_units": config.posterior_units,
        "stddev": config.posterior_stddev,
        "name": "posterior",
        "dtype": policy,
    }
    posterior: GaussianPosterior | CategoricalPosterior
    if config.cells is not None and config.has_cells:
        posterior = CategoricalPosterior(
            config.cells,
            inhibition=config.inhibition_cells,
            learns_prior=config.place_prior == "learned",
            reads_state=config.posterior_reads_state,
            learns_offset=config.learns_offset,
            **shared,
        )
    else:
        anchors = config.num_steps if config.attends else 0
        posterior = GaussianPosterior(config.latent_size, anchors=anchors, **shared)
    return VRNNCell(
        posterior,
        state=config.state,
        state_size=config.state_size,
        latent_units=config.latent_units,
        initial_state_noise=config.initial_state_noise,
        name="vrnn",
        dtype=policy,
    )


def make_location(config: SaccaderConfig) -> LocationHead:
    """Makes the layer that turns z_t into a location."""
    border = "clip" if config.has_cells else "tanh"
    return LocationHead(config.min_scale, border, name="location", dtype="float32")


def make_spatial_transformer(config: SaccaderConfig) -> SpatialTransformer:
    """Makes the layer that cuts crops out of dense images."""
    return SpatialTransformer(config.crop_size, name="spatial_transformer", **_crop_rule(config))


def make_localized_spatial_transformer(config: SaccaderConfig) -> LocalizedSpatialTransformer:
    """Makes the layer that reads crops of pyramids by tiles."""
    rule = _crop_rule(config)
    return LocalizedSpatialTransformer(
        config.crop_size, margin_px=config.margin_px, name="localized_spatial_transformer", **rule
    )


def _crop_rule(config: SaccaderConfig) -> dict[str, Any]:
    widest = min(config.max_scale * max(config.scales), 1.0)
    return {"max_level": config.max_level, "max_scale": widest, "dtype": "float32"}


def make_proxy_features(
    config: SaccaderConfig, policy: Any, given: keras.layers.Layer | None, pretrained: bool
) -> ImageEncoder | None:
    """Makes the network that gives feature maps of the proxy beside its pixels; None where there is none."""
    network = given or config.proxy_features
    if network is None:
        return None
    return make_image_encoder(network, name="proxy_features", dtype=policy, pretrained=pretrained)


def make_crop_encoder(
    config: SaccaderConfig, policy: Any, given: keras.layers.Layer | None, pretrained: bool
) -> keras.layers.Layer:
    """Makes the network that reads the crops: ``[N, S, S, C]`` in [0, 1] → ``[N, F]``."""
    network = given or config.crop_encoder
    if network is not None:
        return make_image_encoder(
            network,
            name="crop_encoder",
            standardize=config.standardize_crops,
            pooling=config.crop_pooling,
            dtype=policy,
            pretrained=pretrained,
        )
    return CropEncoder(
        config.crop_filters,
        config.crop_strides,
        config.crop_stem_kernel,
        config.crop_pooling,
        config.crop_normalization,
        config.standardize_crops,
        name="crop_encoder",
        dtype=policy,
    )


def make_classifier(config: SaccaderConfig, policy: Any, crop_encoder: keras.layers.Layer) -> CropClassifier:
    """Makes the layer that classifies from the crops."""
    return CropClassifier(
        crop_encoder,
        config.num_classes,
        crop_units=config.crop_units,
        head_units=config.head_units,
        normalization=config.normalization,
        reads_state=config.classifier_reads_state,
        look_pooling=config.look_pooling,
        none_class=config.none_class,
        num_scales=len(config.scales),
        dropout=config.crop_dropout,
        initial_evidence=config.initial_evidence,
        name="classifier",
        dtype=policy,
    )
