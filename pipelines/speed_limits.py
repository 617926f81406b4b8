"""German street photographs (GTSDB): which speed limit is shown, if any?

TFVS_DATA=/path/to/gtsdb tfx run create --engine local --pipeline pipelines/speed_limits.py
make run PIPELINE=speed_limits DATA=/path/to/gtsdb

The Trainer pastes signs, cut out of the photographs for training by their boxes, into these photographs; see
docs/street_photographs.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pipelines.config import PipelineConfig, load_config, model_fields
from pipelines.local_runner import run
from tfvs.datasets.gtsdb import SPEED_LIMITS
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.presets import PRESETS
from tfvs.paths import require_local

MODEL = PRESETS["street_photographs"]

DEFAULT = PipelineConfig(
    name="speed_limits",
    data="runs/data/gtsdb",
    reader="gtsdb",
    class_names=SPEED_LIMITS,
    proxy=ProxyRecipe(height=270, width=459, channels=3),
    image_bands=3,
    tile_size=64,
    compression="jpeg",
    model=model_fields(MODEL),
    train={
        "reading_epochs": 14,
        "epochs": 9,
        "steps_per_epoch": 120,
        "batch_size": 24,
        "learning_rate": 3e-3,
        "warmup_steps": 50,
        "clip_norm": 5.0,
        # Pretrained weights, and what reads them, move less than the map of places.
        "group_rates": {"crop_encoder": 1 / 3, "classifier": 1 / 3},
    },
    trainer="pipelines.modules.speed_limits",
    minimum_accuracy=0.9,
    minimum_balanced_accuracy=0.75,
)


def configure(environ: Mapping[str, str] = os.environ) -> PipelineConfig:
    """The configuration of a run.

    Args:
      environ: Fields of the configuration; see :func:`pipelines.config.load_config`.

    Raises:
      ConfigError: The photographs are not on this machine, or a value cannot work.
    """
    config = load_config(DEFAULT, environ)
    require_local(config.data, "Signs are cut out of photographs on this machine", "Copy them to a folder")
    return config


if __name__ == "__main__":
    run(configure)
