"""The saccader on pyramids read by tiles: strings through Keras, on one device and on two."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.models.pyramid_inputs import build_model, make_pyramids
from tfvs.errors import ConfigError


@pytest.fixture(scope="module")
def pyramids(tmp_path_factory):
    root = tmp_path_factory.mktemp("pyramids")
    return root, *make_pyramids(root)


def test_tiles_give_what_the_dense_image_gives(pyramids):
    root, dataset, dense = pyramids
    model = build_model(root)
    tiled, whole = model.predict(dataset, verbose=0), model.predict(dense, batch_size=4, verbose=0)
    assert tiled.valid.tolist() == [True] * 8
    np.testing.assert_allclose(tiled.boxes, whole.boxes, atol=1e-6)
    # Coarser levels are stored in 8 bits.
    np.testing.assert_allclose(tiled.crops, whole.crops, atol=1.5 / 255)


def test_fit_evaluate_and_save_and_a_pyramid_that_is_gone_weighs_nothing(tmp_path):
    dataset, _ = make_pyramids(tmp_path)
    model = build_model(tmp_path)
    model.compile("adam", weighted_metrics=["accuracy"])
    history = model.fit(dataset, validation_data=dataset, verbose=0).history
    assert {"loss", "accuracy", "val_loss"} <= set(history)
    inputs, _ = next(iter(dataset))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(inputs).logits, model(inputs).logits)

    expected = model.predict(dataset, verbose=0)
    (tmp_path / "3.tif").unlink()
    output = model.predict(dataset, verbose=0)
    assert output.valid.tolist() == [True, True, True, False, True, True, True, True]
    np.testing.assert_allclose(output.logits[output.valid], expected.logits[output.valid], atol=1e-5)
    assert np.isfinite(model.fit(dataset, verbose=0).history["loss"][0])


def test_without_a_root_it_says_so(pyramids):
    _, dataset, _ = pyramids
    model = build_model()
    with pytest.raises(ConfigError, match="pyramid_roots"):
        model(next(iter(dataset))[0])


@pytest.mark.slow
def test_two_devices(tmp_path):
    command = [sys.executable, "-m", "tests.models.pyramid_inputs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert np.isfinite(report["fit"])
    assert report["evaluate"] == pytest.approx(report["evaluate_alone"], rel=1e-4)
