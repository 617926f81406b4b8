"""The commands with a URI in place of a path give what they give on a disk: prepare, train, evaluate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.relay import RunningRelay, running_relay
from tests.cli.test_train import OPTIONS, run
from tests.storage.reaching import reach
from tfvs.datasets.sign_photographs import SignConfig, write
from tfvs.preparation import files
from tfvs.preparation.prepared import PreparedSet
from tfvs.storage.tiles import FOLDER

PREPARE = ("--decoder", "direct", "--tile-size", "64")
TRAIN = ("--object-px", 20, "--encoder", "small", *OPTIONS)
URI = "s3://bucket/signs"


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_a_bucket_is_as_good_as_a_folder(server: str, reached: RunningRelay, tmp_path: Path) -> None:
    photos, folder, models = tmp_path / "photos", tmp_path / "prepared", tmp_path / "models"
    write(photos, SignConfig(width=240, height=160, sign_px=20), {"train": 12, "eval": 3, "test": 6})
    scores, curves = [], []
    with running_relay(server, tmp_path / "log", fail=0.05, stall=0.01, cut=0.02, stall_s=30, seed=1) as faulty:
        for place, name in ((folder, "folder"), (URI, "bucket")):
            run("prepare", photos, place, *PREPARE)
            reach(s3_endpoint_url=faulty.url, timeout_s=2.0)
            trained = run("train", place, "--output", models / name, *TRAIN)
            reach()
            scores.append(json.loads(run("evaluate", models / name, place, "--json").stdout))
            curves.append(losses(models / name))
            assert "could not be read" not in trained.output
        requests = faulty.requests()
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-5)
    assert scores[1] == scores[0]
    assert {request["fault"] for request in requests} >= {"fail", None}
    assert PreparedSet.at(URI).class_names == PreparedSet(folder).class_names

    (gone, *_) = [f"s3:/{request['path']}" for request in requests if request["path"].endswith(".tif")]
    files.delete([gone])
    shutil.rmtree(tmp_path / "cache" / FOLDER)
    goes_on = run("train", URI, "--output", models / "without", *TRAIN).output
    assert f"left out: 1, the first {gone}" in goes_on
    assert np.isfinite(losses(models / "without")).all()


def losses(model: Path) -> np.ndarray:
    (history,) = model.glob("**/history.csv")
    return np.genfromtxt(history, delimiter=",", skip_header=1)
