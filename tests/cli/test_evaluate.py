"""``tfvs evaluate`` against the served model's answers, counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from tests.export.saccaders import CLASS_NAMES, RECIPE, adapt, picture, write_picture_pyramid
from tfvs.cli.main import cli, main
from tfvs.data.example import to_example
from tfvs.data.layout import MANIFEST
from tfvs.data.records import ImageRecord
from tfvs.images.proxy import encode_png, proxy_from_pyramid
from tfvs.images.tiff.tile_index import read_index

IMAGES = 12


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of two sizes, the last without its pyramid."""
    folder = tmp_path_factory.mktemp("data") / "prepared [1]"
    records = folder / "records" / "Split-test"
    records.mkdir(parents=True)
    (folder / "pyramids").mkdir()
    manifest = {"proxy": RECIPE.to_dict(), "images": {"dtype": None, "max_side_px": None, "conversion": []}}
    (folder / "records" / MANIFEST).write_text(json.dumps(manifest))
    with tf.io.TFRecordWriter(str(records / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
        for number in range(IMAGES):
            path = folder / "pyramids" / f"{number}.tif"
            write_picture_pyramid(path, picture(200 + 60 * (number % 2), 260, seed=number))
            index = read_index(path)
            proxy = encode_png(proxy_from_pyramid(path, index, RECIPE))
            record = ImageRecord(f"image {number}", number % len(CLASS_NAMES), "00", proxy, path.name, index)
            writer.write(to_example(record).SerializeToString())
    path.unlink()
    return folder


@pytest.fixture(scope="module")
def model(exported: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapt(exported, tmp_path_factory.mktemp("model"), [prepared / "pyramids"]).parent


def test_scores_are_those_of_the_model_s_own_answers(model: Path, prepared: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = CliRunner().invoke(cli, ["evaluate", str(model), str(prepared), "--json", "-o", str(page)])
    assert result.exit_code == 0, result.output
    scores = json.loads(result.output.splitlines()[0])
    (file,) = (prepared / "records" / "Split-test").iterdir()
    examples = list(tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator())
    outputs = tf.saved_model.load(str(model / "1")).signatures["serving_default"](examples=tf.constant(examples))
    valid = outputs["valid"].numpy()
    assert valid.tolist() == [True] * (IMAGES - 1) + [False]
    labels = np.arange(IMAGES) % len(CLASS_NAMES)
    right = (outputs["classes"].numpy() == labels)[valid]
    assert scores["accuracy"][0] == pytest.approx(right.mean(), abs=1e-6)
    assert scores["accuracy"][3] == IMAGES - 1
    assert scores["unreadable"] == 1
    assert np.sum(scores["confusion"]) == IMAGES - 1
    assert len(scores["accuracy_by_size"]) >= 1
    text = page.read_text()
    assert all(name in text for name in CLASS_NAMES)
    assert text.count("<img") >= 3  # confusion, calibration, and a sheet of right or of wrong answers


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0), capsys.readouterr().err


def test_what_cannot_be_evaluated_is_one_sentence(
    exported: Path, model: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = fails(["evaluate", str(model), str(prepared), "--split", "tset"], capsys)
    assert (code, "['test']" in message) == (3, True)
    code, message = fails(["evaluate", str(model), str(tmp_path)], capsys)
    assert (code, "no prepared data set" in message) == (3, True)
    code, message = fails(["evaluate", str(prepared), str(prepared)], capsys)
    assert (code, "no exported saccader" in message) == (3, True)
    elsewhere = adapt(exported, tmp_path / "other", [tmp_path])
    code, message = fails(["evaluate", str(elsewhere), str(prepared)], capsys)
    assert code == 3
    assert "can read none of the images" in message
    assert "image_roots.txt" in message
