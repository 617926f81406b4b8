"""The headline's benchmark: its batch of crops is the model's sum over cells, and what it says follows from figures."""

import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from benchmarks import headline_models
from benchmarks.headline import main
from benchmarks.headline_images import looked_at
from benchmarks.headline_measure import best_of
from benchmarks.headline_models import BatchedGridResNet18, count_flops
from benchmarks.headline_results import plot, ratios
from benchmarks.reproduce import EXPERIMENTS
from tfvs.models import GridResNet18


@pytest.mark.slow
def test_all_crops_at_once_are_the_sum_over_cells_with_its_gradients():
    image = tf.constant(np.random.default_rng(0).random((2, 40, 50, 1)), tf.float32)
    answers, gradients = [], []
    batched, cells = (kind(3, grid=2, crop_size=32, output_size=5, head_units=4) for kind in
                      (BatchedGridResNet18, GridResNet18))  # fmt: skip
    for model in (batched, cells):
        model.build({"image": image.shape})
    cells.set_weights(batched.get_weights())
    for model in (batched, cells):
        with tf.GradientTape() as tape:
            answers.append(model({"image": image}).logits)
            loss = tf.reduce_sum(answers[-1] ** 2)
        gradients.append(tape.gradient(loss, [model.crop_output.kernel, model.backbone.stem.kernel]))
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-5)
    for ours, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_operations_are_those_counted_by_hand():
    kernel, weights = tf.ones([3, 3, 2, 7]), tf.ones([7, 5])
    answer = lambda inputs: tf.reduce_max(tf.nn.conv2d(inputs["image"], kernel, 2, "SAME"), [1, 2]) @ weights  # noqa: E731
    counted = count_flops(answer, {"image": tf.zeros([1, 16, 16, 2])})
    products = 2 * (8 * 8 * 7) * (3 * 3 * 2) + 2 * 7 * 5
    assert products <= counted <= products + 8 * 8 * 7  # and the maximum


def test_no_tile_of_a_crop_is_blank(tmp_path):
    boxes = np.array([[0.0, 0.0, 0.02, 0.02], [0.52, 0.9, 0.54, 0.92]], np.float32)
    inputs = looked_at(tmp_path, 2000, boxes, "uci")
    saccader = headline_models.build("default", 2000, tmp_path, 1)
    features = {name: value for name, value in inputs.items() if name != "proxy"}
    beside = np.array([[0.3, 0.3, 0.32, 0.32], [0.5, 0.1, 0.52, 0.12]], np.float32)
    for looks, expected in ((boxes, 2), (beside, 0)):  # each of these crops lies in one tile; blank ones are not read
        _, valid, tiles = saccader.localized_spatial_transformer(
            features, tf.constant(looks[np.newaxis]), roots=(str(tmp_path),), channels=1
        )
        assert valid.numpy().tolist() == [True]
        assert tiles.numpy().tolist() == [expected]


def test_ratios_and_figure_follow_from_the_measurements(tmp_path):
    times = {
        "paper": {"inference": {"ms": 10, "flops": 4}, "training": {"ms": 50}, "training_batch": {"ms_per_image": 40}},
        "resnet_batch": {"inference": {"ms": 6000, "flops": 400}, "training": {"ms": 10_000}},
        "resnet_cells": {"inference": {"ms": 5000, "flops": 400}, "training": {"ms": 20_000}},
    }
    added = {"paper": (2, 100), "resnet_batch": (1000, 9000), "resnet_cells": (50, 150)}
    memory = {
        name: {"inference": {"adds_mb": answer}, "training": {"adds_mb": step}}
        for name, (answer, step) in added.items()
    }
    found = ratios(times, memory, "paper")
    assert found == {
        "inference_time": 500, "training_time": 200, "training_time_batch": 250, "inference_memory": 500,
        "training_memory": 90, "inference_memory_by_cells": 25, "training_memory_by_cells": 1.5, "flops": 100,
    }  # fmt: skip
    (experiment,) = (one for one in EXPERIMENTS if one.name == "headline")
    assert experiment.figure({"ratios": {"paper": found}}) == (
        "paper size: inference 500 times faster with 0.2 % of the memory, training 200 times with 1.1 %, "
        "100 times fewer operations"
    )
    curve = {
        "paper": {"1000": {"ms": 8, "extrapolated": False}},
        "resnet_cells": {"1000": {"ms": 900, "extrapolated": False}, "5000": {"ms": 9e4, "extrapolated": True}},
    }
    plot({"ratios": {"paper": found}, "crops": 144, "side": 2528, "curve": curve}, tmp_path / "headline.png")
    assert (tmp_path / "headline.png").stat().st_size > 10_000
    assert best_of(2, 3, [9, 1, 2, 5, 3, 4]) == {"ms": 2.0, "rounds_ms": [2.0, 4.0]}


@pytest.mark.slow
def test_a_tiny_run_measures_everything(tmp_path):
    result = CliRunner().invoke(main, ["--quick", f"--runs={tmp_path}", f"--results={tmp_path / 'results'}"])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "results" / "headline.json").read_text())
    assert json.loads(result.stdout.splitlines()[-1]) == report
    assert set(report["ratios"]) == {"paper", "default"}
    assert all(value > 0 for value in report["ratios"]["paper"].values())
    assert report["curve"]["resnet_cells"]["1000"]["extrapolated"]
    assert not report["curve"]["paper"]["1000"]["extrapolated"]
    assert (tmp_path / "results" / "headline.png").exists()
