"""Training from tiles is training from the image: the same losses step by step, the same classes afterwards."""

import json
import subprocess
import sys

import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_losses_and_classes_of_the_dense_path_on_one_device_and_on_two(tmp_path):
    command = [sys.executable, "-m", "tests.images.crops.training_from_tiles", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    for devices in ("one", "two"):
        tiles, dense = report[devices]["tiles"], report[devices]["dense"]
        np.testing.assert_allclose(tiles["losses"], dense["losses"], rtol=1e-4, err_msg=devices)
        np.testing.assert_allclose(tiles["logits"], dense["logits"], rtol=1e-3, atol=1e-4, err_msg=devices)
        assert np.argmax(tiles["logits"], -1).tolist() == np.argmax(dense["logits"], -1).tolist()
        assert tiles["losses"][0] != tiles["losses"][-1]
