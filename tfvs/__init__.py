"""Classify images far too large to classify whole, by looking at a few places: variational saccading in Keras 3."""

from tfvs import _environment

_environment.prepare()
_environment.check_versions()
_environment.import_tensorflow()

from tfvs import datasets  # noqa: E402
from tfvs.export import saving as _saving  # noqa: E402, F401  says how model.export writes
from tfvs.models import (  # noqa: E402
    DRAM,
    PRESETS,
    RAM,
    GridResNet18,
    ResNet18,
    SaccaderConfig,
    SaccaderOutput,
    VariationalSaccader,
)
from tfvs.training import optimizer as _optimizer  # noqa: E402, F401  registers the optimizer that saved models name
from tfvs.training.own_folder import plan_from_directory  # noqa: E402
from tfvs.version import __version__  # noqa: E402

__all__ = [
    "DRAM",
    "PRESETS",
    "RAM",
    "GridResNet18",
    "ResNet18",
    "SaccaderConfig",
    "SaccaderOutput",
    "VariationalSaccader",
    "__version__",
    "datasets",
    "plan_from_directory",
]
