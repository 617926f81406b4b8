"""Two logical devices train as one does: step by step, with a last partial batch."""

import json
import subprocess
import sys

import numpy as np
import pytest


def run(devices: int, last: int, folder) -> dict:
    command = [sys.executable, "-m", "tests.training.twenty_steps", str(devices), str(last), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("last", [8, 7])  # 7: four images on one device, three on the other
def test_the_same_losses_over_twenty_steps(last, tmp_path) -> None:
    one, two = run(1, last, tmp_path / "one"), run(2, last, tmp_path / "two")
    assert len(one["steps"]) == 20
    np.testing.assert_allclose(two["steps"], one["steps"], rtol=1e-4)
    assert np.ptp(one["steps"]) > 1e-3  # it learns, so equal losses say something about equal updates
    assert [len(batch) for batch in one["drawn"]] == [4] * 4
    assert two["drawn"] == one["drawn"]  # drawn with replacement: each device has its share of the same batches
    assert one["epoch"].keys() == two["epoch"].keys()
    for name, value in one["epoch"].items():
        assert two["epoch"][name] == pytest.approx(value, rel=1e-4), name
