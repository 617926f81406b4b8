"""The figures of the benchmark on street photographs, against counts made by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("apache_beam")

from benchmarks.speed_limits import BEST, MODEL, REPORT, keep_best
from benchmarks.speed_limits_data import list_folder, proxy_recipe
from benchmarks.speed_limits_evaluation import boxes_around
from benchmarks.speed_limits_model import SACCADER
from benchmarks.speed_limits_report import pixels_read, report_answers, report_looks
from benchmarks.speed_limits_results import rows
from tfvs.datasets.gtsdb import Sign
from tfvs.errors import DataError


def test_answers() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 5])
    found = report_answers(labels, np.array([0, 0, 0, 3, 1, 2, 2, 0]))
    assert found["accuracy"] == pytest.approx(5 / 8)
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2 + 1 + 0) / 4)
    assert found["limits_right"] == pytest.approx(2 / 4)
    assert found["false_alarms"] == pytest.approx(1 / 4)
    assert found["confusion"][1] == [0, 1, 1, 0, 0, 0]
    low, high = found["balanced_accuracy_interval"]
    assert low < found["balanced_accuracy"] < high
    assert report_answers(np.zeros(3, int), np.zeros(3, int))["limits_right"] is None


def test_looks() -> None:
    sign, other = Sign(100, 200, 139, 239, 2), Sign(0, 0, 9, 9, 14)
    size = np.array([800, 1360, 800, 1360])
    whole, partly = np.array([96, 190, 160, 254]) / size, np.array([110, 210, 174, 274]) / size
    beside = np.array([300, 300, 364, 364]) / size
    looks = np.array([[whole, beside], [partly, beside], [beside, beside]])
    found = report_looks(looks, [[sign, other], [sign], [sign]])
    assert found["signs_inside_a_look"] == pytest.approx(1 / 3)
    assert found["signs_centre_inside"] == pytest.approx(2 / 3)
    assert found["centre_inside_by_width"] == {"36 to 1360 px": {"signs": 3, "share": pytest.approx(2 / 3)}}
    small = Sign(300, 300, 319, 319, 2)  # 20 pixels
    found = report_looks(looks[:1], [[sign, small]])
    assert {name: (of["signs"], of["share"]) for name, of in found["centre_inside_by_width"].items()} == {
        "20 to 28 px": (1, 1.0),
        "36 to 1360 px": (1, 1.0),
    }
    assert report_looks(looks[:1], [[other]])["signs_inside_a_look"] is None
    assert pixels_read(68_000, 64, crops=2) == pytest.approx((68_000 + 2 * 4096) / 1_088_000)


def test_looks_at_true_boxes() -> None:
    signs = [
        Sign(left=100, top=201, right=139, bottom=240, kind=2),
        Sign(top=5, left=1340, bottom=24, right=1359, kind=2),
    ]
    config = SACCADER.replace(scales=(1.0, 2.0))
    boxes = boxes_around(signs, config)
    size = np.array([800, 1360, 800, 1360])
    expected = [[188, 87, 252, 151], [156, 55, 284, 183], [0, 1296, 64, 1360], [0, 1232, 128, 1360]]
    np.testing.assert_allclose(boxes[0] * size, expected, atol=1e-3)


@pytest.mark.parametrize(("fold", "shown"), [(4, "2, validation"), (1, "2, fold 1")])
def test_rows_name_what_was_answered(fold: int, shown: str) -> None:
    answers = {"num_steps": 7, "photographs": 2, **report_answers(np.array([0, 1]), np.array([0, 2]))}
    report = {"method": "saccader", "seed": 5, "fold": fold, "cpu_minutes": 51.6, "validation": answers}
    (own, oracle) = rows({**report, "same_weights": {"oracle": answers}})
    assert own[:4] == ["tfvs, 7 looks", "5", shown, "50.0 (9.5 to 90.5)"]
    assert (own[-1], oracle[2], oracle[-1]) == ("52", shown, "none")


def test_the_configuration_is_plain() -> None:
    assert type(SACCADER).from_json(SACCADER.to_json()) == SACCADER


def test_the_best_model_is_kept(tmp_path: Path) -> None:
    for name, balanced, kept in (("a", 0.5, True), ("b", 0.4, False), ("c", 0.6, True)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / MODEL).write_text(name)
        assert keep_best(tmp_path, folder, {"seed": name, "validation": {"balanced_accuracy": balanced}}) is kept
    assert (tmp_path / BEST / MODEL).read_text() == "c"
    assert json.loads((tmp_path / BEST / REPORT).read_text())["seed"] == "c"


def test_a_folder_is_read_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 800, 1360, 3), dtype=np.uint8)
    for number, photograph in zip((600, 899), pixels, strict=True):
        Image.fromarray(photograph).save(tmp_path / f"{number:05d}.ppm")
    (tmp_path / "gt.txt").write_text("00899.ppm;40;50;59;69;7\n")
    folder = list_folder(tmp_path, proxy_recipe(8))
    assert (folder.ids, folder.labels.tolist(), folder.pyramid_roots) == (["00600", "00899"], [0, 5], ())
    ((inputs, labels),) = folder.batches()
    np.testing.assert_array_equal(labels, [0, 5])
    np.testing.assert_array_equal(inputs["image"], pixels)
    means = pixels.reshape(2, 100, 8, 170, 8, 3).mean((2, 4))
    assert inputs["proxy"].shape == means.shape
    found = np.asarray(inputs["proxy"], float)  # of another kernel than means
    assert np.corrcoef(found.ravel(), means.ravel())[0, 1] > 0.85
    (tmp_path / "gt.txt").write_text("00899.ppm;40;50;59;69;43\n")
    with pytest.raises(DataError, match="Line 1"):
        list_folder(tmp_path, proxy_recipe(8))
