"""The two-digit pipeline on real digits through TFX's command line: blessed and pushed, cached, and refused."""

import json

import pytest

from tests.e2e.command import Pipeline
from tfvs.data.two_digit_mnist import TwoDigitConfig, write

pytestmark = [pytest.mark.e2e, pytest.mark.tfx]
CANVASES = TwoDigitConfig(task="one", canvas_sizes=((96, 128), (104, 104)), digit_px=64, num_distractors=2)
SETTINGS = {
    "model": {"num_steps": 1, "crop_size": 32, "min_scale": 0.7, "max_scale": 1.0},
    "train": {"epochs": 8, "batch_size": 32, "zoom_from": 1.0, "zoom_to": 1.0},
    "tile_size": 64,
    "minimum_accuracy": 0.25,
}
COMPONENTS = {
    "SaccadeExampleGen", "StatisticsGen", "SchemaGen", "ImportSchemaGen", "ExampleValidator", "DistributionValidator",
    "Trainer", "Evaluator", "Pusher",
}  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    folder = tmp_path_factory.mktemp("two_digit")
    write(str(folder / "data"), CANVASES, {"train": 640, "eval": 64, "test": 128})
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    return Pipeline("two_digit_mnist", folder, folder / "data")


def test_blessed_then_cached_then_refused(pipeline) -> None:
    pipeline.tfx("pipeline", "create", "--engine", "local", "--pipeline_path", pipeline.file)
    pipeline.tfx("run", "create", "--engine", "local", "--pipeline_name", "two_digit_mnist")
    states = pipeline.states()
    assert all(states[name] == "complete" for name in COMPONENTS), states
    assert len(pipeline.pushed()) == 1

    pipeline.tfx("run", "create", "--engine", "local", "--pipeline", pipeline.file)
    states = pipeline.states()
    assert all(states[name] == "reused" for name in COMPONENTS), states
    assert len(pipeline.pushed()) == 1

    # A threshold that this model does not reach: evaluated again, not trained again, not pushed.
    pipeline.tfx("run", "create", "--engine", "local", "--pipeline", pipeline.file, TFVS_MINIMUM_ACCURACY="1.0")
    states = pipeline.states()
    assert states["Trainer"] == "reused"
    assert states["Evaluator"] == "complete"
    assert len(pipeline.pushed()) == 1
