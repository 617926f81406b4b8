"""Two logical CPU devices train as one does."""

import json
import subprocess
import sys

import numpy as np
import pytest


def run(devices: int, posterior: str) -> dict:
    command = [sys.executable, "-m", "tests.models.two_devices", str(devices), posterior]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["gaussian", "categorical"])
def test_the_same_loss_on_two_devices(posterior):
    one, two = run(1, posterior), run(2, posterior)
    assert one["history"].keys() == two["history"].keys()
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    for name, value in one["evaluated"].items():
        assert two["evaluated"][name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    assert np.all(np.diff(one["history"]["loss"]) < 0)


@pytest.mark.slow
def test_a_last_batch_with_fewer_images_than_devices():
    """Nine images in batches of four on two devices: one has no image of the last batch, nor of the only one."""
    command = [sys.executable, "-m", "tests.models.partial_batch"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    one, two = report["one"], report["two"]
    np.testing.assert_allclose(two["predicted"], one["predicted"], atol=1e-4)
    assert two["evaluated"] == pytest.approx(one["evaluated"], rel=1e-3)
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-3, atol=1e-5, err_msg=name)
    assert two["evaluated_on_one_image"] == pytest.approx(one["evaluated_on_one_image"], rel=1e-2)
    for name, values in one["fit_on_one_image"].items():
        np.testing.assert_allclose(two["fit_on_one_image"][name], values, rtol=1e-2, atol=1e-4, err_msg=name)
