"""A small two-digit data set, on which a pipeline takes minutes."""

import json
from pathlib import Path

from tests.e2e.command import Pipeline
from tfvs.datasets.canvases import write_canvases
from tfvs.datasets.two_digit_mnist import TwoDigitConfig

CANVASES = TwoDigitConfig(task="one", canvas_sizes=((96, 128), (104, 104)), digit_px=64, num_distractors=2)
SETTINGS = {
    "model": {"num_steps": 1, "crop_size": 32, "min_scale": 0.7, "max_scale": 1.0},
    "train": {"epochs": 8, "batch_size": 32, "zoom_from": 1.0, "zoom_to": 1.0},
    "tile_size": 64,
    "minimum_accuracy": 0.25,
}


def make(folder: Path) -> Pipeline:
    """Data and configuration in a folder, and the pipeline on them."""
    write_canvases(str(folder / "data"), CANVASES, {"train": 640, "eval": 64, "test": 128})
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    return Pipeline("two_digit_mnist", folder, folder / "data")
