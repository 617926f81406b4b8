"""The paper's pictures: drawn from the model and the report that a run of ``benchmarks.accuracy`` leaves."""

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.accuracy import build, describe_canvases
from benchmarks.paper_figures import CAPTIONS, REPORT, answer, main, picture_name
from benchmarks.reproduction_page import page

FEW = {"num_steps": 2, "crop_size": 8, "crop_filters": [4, 4], "crop_strides": [2, 2], "state_size": 4}
RUN = {"task": "one", "seed": 1, "proxy_keep": 1.0, "proxy_noise": 0.0, "model": "saccader"}
FIGURES = {"accuracy": 0.5, "test_images": 100, "cpu_minutes": 1.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("run")
    (path / "runs" / "one-tiny-1").mkdir(parents=True)
    build("saccader", describe_canvases("one", "uci", 1), FEW).save(path / "runs" / "one-tiny-1" / "model.keras")
    (path / "accuracy-one-tiny-1.json").write_text(json.dumps({**RUN, **FIGURES}))
    return path


def test_trajectories_are_drawn_around_what_the_posterior_says(folder):
    shown = answer(folder / "runs" / "one-tiny-1" / "model.keras", "uci", RUN, 2, 300)
    middles = (shown.samples[..., :2] + shown.samples[..., 2:]) / 2
    likeliest = (np.asarray(shown.output.boxes)[..., :2] + np.asarray(shown.output.boxes)[..., 2:]) / 2
    assert middles.shape == (2, 300, 2, 2)
    np.testing.assert_allclose(middles[:, :, 0].mean(axis=1), likeliest[:, 0], atol=0.01)
    # σ is in halves of the image's side; near the border it is squeezed.
    assert middles[:, :, 0].std(axis=1).max() == pytest.approx(0.08 / 2, rel=0.15)


def test_the_pictures_and_what_the_page_says_of_them(folder):
    arguments = ["--digits=uci", "--run=one-tiny-1", f"--runs={folder / 'runs'}", f"--results={folder}"]
    done = CliRunner().invoke(main, [*arguments, "--images=1", "--samples=3"])
    assert done.exit_code == 0, done.output
    report = json.loads((folder / REPORT).read_text())
    assert report["pictures"] == list(CAPTIONS)
    assert all((folder / picture_name(name)).read_bytes().startswith(b"\x89PNG") for name in CAPTIONS)
    text = page(folder)
    assert "`one-tiny-1`" in text
    assert "50.00 % of its 100 test images" in text
    assert all(f"](results/{picture_name(name)})" in text for name in CAPTIONS)


def test_a_run_that_is_not_there_is_told_with_its_command(folder):
    done = CliRunner().invoke(main, ["--digits=uci", "--run=sum-saccader-1", f"--results={folder}"])
    assert done.exit_code == 2
    assert "reproduce --only sum-saccader-1" in done.output
