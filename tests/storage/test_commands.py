"""The commands with a URI in place of a path give what they give on a disk: prepare, train, evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.relay import RunningRelay
from tests.cli.test_train import OPTIONS, run
from tfvs.datasets.sign_photographs import SignConfig, write
from tfvs.preparation.prepared import PreparedSet

PREPARE = ("--decoder", "direct", "--tile-size", "64")
TRAIN = ("--object-px", 20, "--encoder", "small", *OPTIONS)
URI = "s3://bucket/signs"


@pytest.mark.e2e
def test_a_bucket_is_as_good_as_a_folder(reached: RunningRelay, tmp_path: Path) -> None:
    photos, folder, models = tmp_path / "photos", tmp_path / "prepared", tmp_path / "models"
    write(photos, SignConfig(width=240, height=160, sign_px=20), {"train": 12, "eval": 3, "test": 6})
    scores, curves = [], []
    for place, name in ((folder, "folder"), (URI, "bucket")):
        run("prepare", photos, place, *PREPARE)
        run("train", place, "--output", models / name, *TRAIN)
        scores.append(json.loads(run("evaluate", models / name, place, "--json").stdout))
        (history,) = models.glob(f"{name}/**/history.csv")
        curves.append(np.genfromtxt(history, delimiter=",", skip_header=1))
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-5)
    assert scores[1] == scores[0]
    assert PreparedSet.at(URI).class_names == PreparedSet(folder).class_names
