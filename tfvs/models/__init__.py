"""Models: the variational saccader and the baselines it is measured against."""

from tfvs.models.dram import DRAM
from tfvs.models.grid_resnet import GridResNet18
from tfvs.models.hard_attention import HardAttentionOutput
from tfvs.models.presets import PRESETS
from tfvs.models.ram import RAM
from tfvs.models.resnet import ClassifierOutput, ResNet18
from tfvs.models.saccader import VariationalSaccader
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.models.saccader_output import SaccaderOutput, SaccadeTrajectory

__all__ = [
    "DRAM",
    "PRESETS",
    "RAM",
    "ClassifierOutput",
    "GridResNet18",
    "HardAttentionOutput",
    "ResNet18",
    "SaccadeTrajectory",
    "SaccaderConfig",
    "SaccaderOutput",
    "VariationalSaccader",
]
