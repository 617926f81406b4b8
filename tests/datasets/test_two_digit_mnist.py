import itertools

import numpy as np
import pytest
from click.testing import CliRunner

from tfvs.datasets import two_digit_mnist as module
from tfvs.datasets.digits import load_digits
from tfvs.datasets.two_digit_mnist import TwoDigitConfig, generate, pair_index
from tfvs.errors import ConfigError

pytest.importorskip("sklearn")


def test_pairs_are_numbered_without_order_or_gap():
    indices = {pair_index(a, b) for a, b in itertools.product(range(10), repeat=2)}
    assert indices == set(range(55))
    for index, name in enumerate(TwoDigitConfig(task="identify").class_names):
        low, high = (int(digit) for digit in name.split(" and "))
        assert pair_index(high, low) == index
        assert low <= high


@pytest.mark.parametrize(("task", "classes"), [("identify", 55), ("sum", 19), ("one", 10)])
def test_labels_follow_from_the_digits_on_the_canvas(task, classes):
    config = TwoDigitConfig(task=task, num_distractors=0)
    canvases = generate(config, "train", 60)
    digits = load_digits("uci", "train")
    by_pixels = {image.tobytes(): int(label) for image, label in zip(digits.images, digits.labels, strict=True)}
    assert config.num_classes == len(config.class_names) == classes
    for image, label, positions in zip(*canvases, strict=True):
        found = [by_pixels[image[y : y + 28, x : x + 28].tobytes()] for y, x in positions]
        expected = {"identify": lambda d: pair_index(*d), "sum": sum, "one": lambda d: d[0]}[task](found)
        assert label == expected


def test_digits_lie_on_the_canvas_and_do_not_overlap():
    config = TwoDigitConfig(canvas_sizes=((60, 90), (90, 60), (70, 70)), digit_px=30)
    canvases = generate(config, "test", 200)
    assert {image.shape for image in canvases.images} == {(60, 90), (90, 60), (70, 70)}
    for image, positions in zip(canvases.images, canvases.positions, strict=True):
        assert (positions >= 0).all()
        assert (positions + 30 <= image.shape).all()
        assert np.abs(positions[0] - positions[1]).max() >= 30


def test_tightest_canvas_still_places_both_digits():
    canvases = generate(TwoDigitConfig(canvas_sizes=((28, 56),)), "train", 3)
    assert all(sorted(p[:, 1]) == [0, 28] for p in canvases.positions)


def test_image_depends_on_seed_split_and_index_alone():
    config = TwoDigitConfig(seed=5)
    whole, part = generate(config, "train", 8), generate(config, "train", 3, start=5)
    np.testing.assert_array_equal(whole.images[5:], part.images)
    np.testing.assert_array_equal(config.canvas("train", 6)[0], whole.images[6])
    assert (generate(config.replace(seed=6), "train", 1).images != whole.images[:1]).any()
    assert (generate(config, "test", 1).images != whole.images[:1]).any()


def test_distractors_add_pixels_of_their_number_and_size():
    plain = TwoDigitConfig(num_distractors=0).canvas("train", 0)[0]
    assert (plain > 0).sum() < 2 * 28 * 28
    for size in (8, 9):
        config = TwoDigitConfig(num_distractors=200, distractor_px=size)
        assert (config.canvas("train", 0)[0] > 0).sum() > 2000


def test_all_classes_occur():
    labels = generate(TwoDigitConfig(task="sum"), "train", 600).labels
    assert set(labels) == set(range(19))


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "product"},
        {"canvas_sizes": ((28, 40),)},
        {"canvas_sizes": ()},
        {"digit_px": 2},
        {"num_distractors": -1},
        {"distractor_px": 29},
        {"seed": -1},
    ],
)
def test_impossible_configs_are_refused(fields):
    with pytest.raises(ConfigError):
        TwoDigitConfig(**fields)


def test_config_survives_json():
    config = TwoDigitConfig(task="sum", canvas_sizes=((480, 640), (512, 512)), seed=3)
    assert TwoDigitConfig.from_json(config.to_json()) == config


def test_command_writes_what_generate_makes_and_exits_with_2_on_bad_sizes(tmp_path):
    from PIL import Image

    output = tmp_path / "set"
    args = ["--output", str(output), "--train", "3", "--eval", "1", "--test", "1", "--canvas", "60x80"]
    result = CliRunner().invoke(module.main, args)
    assert result.exit_code == 0, result.output
    written = np.asarray(Image.open(output / "train" / "000002.png"))
    np.testing.assert_array_equal(written, TwoDigitConfig(canvas_sizes=((60, 80),)).canvas("train", 2)[0])
    assert CliRunner().invoke(module.main, ["--output", str(output), "--canvas", "wide"]).exit_code == 2
    assert CliRunner().invoke(module.main, ["--output", str(output), "--seed", "9"]).exit_code == 3
