"""The figures of the benchmark on street photographs, against counts made by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("apache_beam")

from benchmarks.speed_limits import BEST, MODEL, REPORT, keep_best
from benchmarks.speed_limits_model import SACCADER
from benchmarks.speed_limits_report import pixels_read, report_answers, report_looks
from tfvs.datasets.gtsdb import Sign


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
    assert found == {"signs_inside_a_look": pytest.approx(1 / 3), "signs_centre_inside": pytest.approx(2 / 3)}
    assert report_looks(looks[:1], [[other]])["signs_inside_a_look"] is None
    assert pixels_read(68_000, 64, looks) == pytest.approx((68_000 + 2 * 4096) / 1_088_000)


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
