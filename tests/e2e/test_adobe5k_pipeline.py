"""FiveK from a folder in its real layout to a pushed model, through TFX's command line; on two logical devices."""

import json

import numpy as np
import pytest

from tests.e2e.command import COMPONENTS, Pipeline
from tests.e2e.fivek import write_fivek, write_photograph
from tfvs.datasets.adobe5k import CLASS_NAMES

pytestmark = [pytest.mark.e2e, pytest.mark.tfx]
SETTINGS = {
    "proxy": {"height": 16, "width": 16},
    "tile_size": 128,
    "model": {"num_steps": 2, "crop_size": 16, "min_scale": 0.3, "max_scale": 0.9},
    "train": {"epochs": 3, "batch_size": 12, "zoom_from": 0.9, "zoom_to": 0.6, "num_devices": 2},
}
COUNTS = {"train": 24, "eval": 3, "test": 5}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    folder = tmp_path_factory.mktemp("adobe5k")
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    return Pipeline("adobe5k", folder, write_fivek(folder / "fivek", COUNTS))


def test_from_photographs_to_a_pushed_model(pipeline) -> None:
    pipeline.tfx("run", "create", "--engine", "local", "--pipeline", pipeline.file)
    record, config = pipeline.last_run(), pipeline.config
    states = pipeline.states()
    assert set(states) >= COMPONENTS
    assert all(states[name] == "complete" for name in COMPONENTS), states

    (version,) = pipeline.pushed()
    assert (version / "assets.extra" / "tf_serving_warmup_requests").is_file()
    assert (version / "assets" / "class_names.txt").read_text().split() == list(CLASS_NAMES)

    from pipelines.report import write_config_report
    from pipelines.reporting.evaluation import read_evaluation

    judged = read_evaluation(record.artifact("ModelEvaluation").uri, CLASS_NAMES)
    overall = judged.slices[0]
    assert overall.examples >= COUNTS["test"] * len(CLASS_NAMES)
    assert overall.metrics["sparse_categorical_accuracy"] > config.minimum_accuracy
    assert overall.metrics["accuracy_above_guessing"] > config.minimum_skill
    assert overall.metrics["auc"] > 0.5
    assert judged.confusion.sum() == overall.examples
    assert judged.calibration is not None
    assert {row.name for row in judged.slices if row.feature == "class"} == set(CLASS_NAMES)
    assert len([row for row in judged.slices if row.feature == "image size"]) >= 3
    assert judged.failures == []

    history = np.genfromtxt(
        f"{record.artifact('ModelRun').uri}/history.csv", delimiter=",", names=True, deletechars="", dtype=None
    )
    assert {"loss", "classification", "reconstruction", "kl_1", "kl_2", "val_kl_1"} <= set(history.dtype.names)
    assert len(history) == SETTINGS["train"]["epochs"]

    page = write_config_report(config).read_text()
    for sentence in ("blessed", "pushed as version", "man_made", "Confusion", "Calibration", "Saccade sheet of right"):
        assert sentence in page, sentence


def test_a_second_run_reuses_everything_and_a_new_photograph_runs_what_depends_on_it(pipeline) -> None:
    pipeline.tfx("run", "create", "--engine", "local", "--pipeline", pipeline.file)
    states = pipeline.states()
    assert all(states[name] == "reused" for name in COMPONENTS), states
    assert len(pipeline.pushed()) == 1

    pyramids = set(pipeline.config.pyramid_root.rglob("*.tif"))
    names = sorted(path.name for path in pipeline.data.rglob("*_C.jpg") if not path.is_symlink())
    write_photograph(pipeline.data / "photos" / names[0], 0, seed=99)
    pipeline.tfx("run", "create", "--engine", "local", "--pipeline", pipeline.file)
    states = pipeline.states()
    assert states.pop("ImportSchemaGen") == "reused"
    assert all(states[name] == "complete" for name in COMPONENTS - {"ImportSchemaGen"}), states
    assert len(set(pipeline.config.pyramid_root.rglob("*.tif")) - pyramids) == 1  # the others are not converted again
