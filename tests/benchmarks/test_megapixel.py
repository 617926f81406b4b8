"""The Megapixel MNIST benchmark: what it counts, and a small run from data to table."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import megapixel, megapixel_results
from benchmarks.megapixel_measure import look_at

pytest.importorskip("sklearn")


def test_a_digit_is_seen_where_one_look_holds_all_of_it():
    random = np.random.default_rng(0)
    start = random.uniform(0, 0.8, (4, 6, 2))
    boxes = np.concatenate([start, start + random.uniform(0.05, 0.2, (4, 6, 1))], axis=-1)
    corners = random.uniform(0, 0.95, (4, 200, 2))
    seen = look_at(boxes, corners, 0.04)
    for image in range(4):
        for corner, found in zip(corners[image], seen[image], strict=True):
            wanted = any((corner >= box[:2]).all() and (corner + 0.04 <= box[2:]).all() for box in boxes[image])
            assert found == wanted
    assert 0 < seen.mean() < 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_small_run_trains_resumes_and_is_asked_at_another_size(tmp_path):
    fields = {"state_size": 4, "encoder_units": 4, "prior_units": 4, "latent_units": 4, "map_filters": [4, 4]}
    common = ["--digits=uci", f"--data={tmp_path / 'data'}", f"--runs={tmp_path / 'runs'}", "--threads=0"]
    common += [f"--results={tmp_path}", "--test-images=8", "--num-steps=2", "--num-samples=2"]
    common += [f"--override={name}={json.dumps(value)}" for name, value in fields.items()]
    small = [*common, "--side=300", "--train-images=16", "--batch-size=8", "--override=cells=[18, 18]"]
    for passes in ("1", "2"):  # the second one goes on after the first
        CliRunner().invoke(megapixel.main, [*small, f"--passes={passes}"], catch_exceptions=False)
    trained = json.loads((tmp_path / "megapixel-300-16-1.json").read_text())
    assert [row["epoch"] for row in trained["history"]] == [0, 1]
    assert trained["share_read"] == pytest.approx(trained["tiles_read"] * 64**2 / 300**2)
    assert 0 < trained["tiles_read"] <= 2 * 9
    assert (tmp_path / "megapixel-300-16-1.png").stat().st_size > 5000
    larger = [*common[:-5], "--side=400", f"--model={tmp_path / 'runs' / '300-16-1' / 'model.keras'}"]
    CliRunner().invoke(megapixel.main, larger, catch_exceptions=False)
    asked = json.loads((tmp_path / "megapixel-400-of-300-16-1.json").read_text())
    assert asked["config"]["cells"] == [24, 24]
    assert asked["config"]["min_scale"] == pytest.approx(50 / 400)
    rows = megapixel_results.table(megapixel_results.read_reports(tmp_path)).splitlines()
    assert len(rows) == 2 + 2 + len(megapixel_results.PEERS)
    assert sum("tfvs" in row for row in rows) == 2
