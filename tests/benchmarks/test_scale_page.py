"""The page on a million images says what the benchmarks' files give."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import scale_reading
from benchmarks.scale_page import FILES, STEPS, Prices, estimate, page

ROOT = Path(__file__).resolve().parents[2]


def _measured() -> dict:
    return {name: json.loads((ROOT / f"docs/results/{name}.json").read_text()) for name in FILES}


def test_the_page_is_that_of_the_files() -> None:
    assert (ROOT / "docs" / "scale.md").read_text() == page(_measured(), Prices())
    assert scale_reading.STEPS == STEPS


def test_figures_by_hand() -> None:
    measured = _measured()
    measured["scale"]["single"]["30000"] |= {"file_mb": 500.0, "kb_read": 800.0, "tiles_read": 20.0}
    measured["scale"]["single"]["30000"]["index"]["example_kb"] = 100.0
    measured["scale"]["training"]["tiles"]["images_per_s"] = 10.0
    measured["scale"]["model"]["30000"]["cpu_p50_ms"] = 36.0
    measured["prepare"]["1 worker"]["megapixels_per_s"] = 36.0
    ours, theirs, one = estimate(measured)
    assert one["megapixels"] == 3600  # 2 GB are four files of 900 megapixels
    assert one["record_mb"] == pytest.approx(0.4)
    prepared, trained, answered = ours
    assert prepared.core_hours == pytest.approx(100 * 1e6 / 3600)
    assert trained.core_hours == pytest.approx(0.2 * 1e7 / 3600)
    assert trained.terabytes == pytest.approx(1.2e7 / 1e6)
    assert answered.core_hours == pytest.approx(10)
    assert answered.reads == 20e6
    assert theirs[2].terabytes == 2000
    free = replace(Prices(), core_hour=0.0, put_1000=0.0)
    assert answered.dollars(free) == pytest.approx(20e6 / 1000 * 0.0004)
