"""``make run PIPELINE=my_images``: from a folder per class to an answer over gRPC, and once more from the cache."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipelines.reporting.run_record import COMPLETE, REUSED
from tests.e2e.command import COMPONENTS, Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.tfx]

COLOURS = {"blue": (40, 60, 200), "green": (30, 160, 60), "red": (200, 40, 40)}
IMAGES = 150
# Colours are learned in a few steps.
SETTINGS = {"train": {"epochs": 4, "steps_per_epoch": 15}, "tile_size": 64}


def photographs(folder: Path) -> Path:
    """Noise with a disc in the colour of the class."""
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        name = sorted(COLOURS)[number % len(COLOURS)]
        picture = Image.fromarray(random.integers(90, 160, [160, 240, 3]).astype(np.uint8))
        x, y = int(random.integers(0, 170)), int(random.integers(0, 90))
        ImageDraw.Draw(picture).ellipse([x, y, x + 70, y + 70], fill=COLOURS[name])
        (folder / name).mkdir(parents=True, exist_ok=True)
        picture.save(folder / name / f"{number:03d}.jpg", quality=90)
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("own")
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    return Pipeline("my_images", folder, photographs(folder / "my photos"))


def test_a_folder_of_images_ends_as_a_served_model_and_then_comes_from_the_cache(pipeline: Pipeline) -> None:
    code, said = pipeline.make_run()
    assert code == 0, said
    states = pipeline.states()
    assert all(states[name] == COMPLETE for name in COMPONENTS), states
    right, asked = map(int, re.findall(r"(\d+) of (\d+) right", said)[0])
    assert asked == 6
    assert right >= 5, said
    root, reports = pipeline.config.root, sorted((pipeline.config.root / "reports").glob("*.html"))
    assert (root / "saccades.png").stat().st_size > 10_000
    assert 'href="../viewer.html"' in reports[0].read_text()
    assert (root / "viewer.html").is_file()
    assert "blessed" in reports[0].read_text()
    assert (pipeline.data / "tfvs_schema.pbtxt").is_file()
    seconds = {step.component: step.seconds for step in pipeline.last_run().steps}

    code, said = pipeline.make_run()
    assert code == 0, said
    assert "epoch" not in said
    assert {pipeline.states()[name] for name in COMPONENTS} == {REUSED}
    assert len(pipeline.pushed()) == 1
    again = {step.component: step.seconds for step in pipeline.last_run().steps}
    assert again["Trainer"] == seconds["Trainer"] > 1  # of the run that made the model
    report = sorted((root / "reports").glob("*.html"))[-1].read_text()
    assert "components used again" in report
