"""Keras layers of variational saccading."""

from tfvs.layers.batch_norm import BatchNormalization
from tfvs.layers.conv_block import ConvBlock
from tfvs.layers.conv_decoder import ConvDecoder
from tfvs.layers.conv_encoder import ConvEncoder
from tfvs.layers.crop_classifier import CropClassifier
from tfvs.layers.crop_encoder import CropEncoder
from tfvs.layers.dense_block import DenseBlock
from tfvs.layers.glimpse_network import GlimpseNetwork
from tfvs.layers.group_norm import GroupNorm
from tfvs.layers.localized_spatial_transformer import LocalizedSpatialTransformer
from tfvs.layers.location_head import LocationHead
from tfvs.layers.map_encoder import MapEncoder
from tfvs.layers.residual_block import ResidualBlock
from tfvs.layers.spatial_attention import SpatialAttention
from tfvs.layers.spatial_transformer import SpatialTransformer
from tfvs.layers.vrnn_cell import VRNNCell, VRNNStep

__all__ = [
    "BatchNormalization",
    "ConvBlock",
    "ConvDecoder",
    "ConvEncoder",
    "CropClassifier",
    "CropEncoder",
    "DenseBlock",
    "GlimpseNetwork",
    "GroupNorm",
    "LocalizedSpatialTransformer",
    "LocationHead",
    "MapEncoder",
    "ResidualBlock",
    "SpatialAttention",
    "SpatialTransformer",
    "VRNNCell",
    "VRNNStep",
]
