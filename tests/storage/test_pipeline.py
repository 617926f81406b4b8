"""A TFX pipeline whose data and root lie in buckets: from images to a pushed model, then once more from the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.object_server import KEYS
from benchmarks.relay import RunningRelay
from tests.e2e.test_my_images import COLOURS, IMAGES, photographs
from tests.preparation.images import write_folder
from tests.storage.reaching import upload_below
from tfvs.errors import DataError, ResourceError
from tfvs.preparation import files

pytestmark = pytest.mark.tfx
ROOT = Path(__file__).resolve().parents[2]
DATA, RUNS = "s3://bucket/photographs", "s3://bucket/runs"
CONFIG = {
    "name": "in_a_bucket",
    "reader": "folder",
    "class_names": sorted(COLOURS),
    "proxy": {"height": 24, "width": 32, "channels": 3},
    "image_bands": 3,
    "tile_size": 64,
    "model": {"num_steps": 1, "crop_size": 16},
    "train": {"epochs": 6, "batch_size": 32, "zoom_from": None, "zoom_to": None},
    "minimum_accuracy": 0.4,
}
WRITES = """
import sys
import tensorflow as tf
from tfvs.storage.tensorflow_files import teach_tensorflow
teach_tensorflow("s3://bucket/a")
with tf.io.gfile.GFile("s3://bucket/written/a.txt", "w") as file:
    file.write("whole")
print("said before the end", end="")
sys.exit(7)
"""


@pytest.mark.slow
def test_tensorflow_writes_and_the_process_ends_with_its_own_exit_code(reached: RunningRelay) -> None:
    done = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "said before the end"), done.stderr[-3000:]
    assert files.read("s3://bucket/written/a.txt") == b"whole"


def test_a_bucket_is_looked_at_before_the_run(reached: RunningRelay, tmp_path: Path) -> None:
    from pipelines.config import PipelineConfig
    from pipelines.preflight import check

    upload_below(write_folder(tmp_path / "photos", 60), "s3://bucket/photos")
    config = PipelineConfig(
        name="p", data="s3://bucket/photos", reader="folder", class_names=("class0", "class1"), minimum_accuracy=0.6,
        runs_root=RUNS, local_root=str(tmp_path / "here"), train={"batch_size": 4},
    )  # fmt: skip
    check(config)
    assert [path.name for path in (tmp_path / "here").rglob("*") if path.is_file()] == ["tfvs_schema.pbtxt"]
    assert not files.exists(RUNS)
    with pytest.raises(DataError, match=r"no data.*s3://bucket/nothing.*TFVS_DATA"):
        check(config.replace(data="s3://bucket/nothing"))
    with pytest.raises(ResourceError, match=r"no such bucket.*s3://elsewhere"):
        check(config.replace(runs_root="s3://elsewhere/runs"))


@pytest.mark.e2e
@pytest.mark.timeout(2400)
def test_a_pipeline_from_bucket_to_bucket(reached: RunningRelay, tmp_path: Path) -> None:
    upload_below(photographs(tmp_path / "photos"), DATA)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "data": DATA, "runs_root": RUNS}))
    environ = {
        **os.environ,
        **KEYS,
        "TFVS_CONFIG": str(tmp_path / "config.json"),
        "TFVS_LOCAL_ROOT": str(tmp_path / "here"),
        "LOCAL_HOME": str(tmp_path / "tfx"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    pipeline = str(ROOT / "pipelines" / "two_digit_mnist.py")
    tfx = [str(Path(sys.executable).with_name("tfx")), "run", "create", "--pipeline", pipeline]
    for trained in (True, False):
        done = subprocess.run(tfx, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        assert ("epoch 6/6" in done.stdout + done.stderr) == trained
    found = {"/".join(parts) for parts, _ in files.below(f"{RUNS}/in_a_bucket")}
    assert sum(name.startswith("serving/") and name.endswith("saved_model.pb") for name in found) == 1
    assert sum(name.startswith("pyramids/") and name.endswith(".tif") for name in found) == IMAGES
    here = tmp_path / "here" / "in_a_bucket"
    assert {path.name for path in here.iterdir()} == {"metadata.db", "tfvs_schema.pbtxt"}

    report = [sys.executable, "-m", "pipelines.report", str(here / "metadata.db"), "in_a_bucket", "report.html"]
    report += ["--pyramids", f"{RUNS}/in_a_bucket/pyramids"]
    done = subprocess.run(report, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    page = (tmp_path / "report.html").read_text()
    assert all(text in page for text in ("blessed", "pushed as version", 'id="saccades"', "image/png"))
