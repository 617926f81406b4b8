import numpy as np
import pytest

from tfvs.datasets.canvases import write_canvases
from tfvs.datasets.digits import load_digits
from tfvs.datasets.megapixel_mnist import MegapixelConfig, draw, noise_patterns
from tfvs.errors import ConfigError

pytest.importorskip("sklearn")


def test_three_digits_are_of_the_class_and_two_are_not():
    config = MegapixelConfig(height=600, width=800)
    digits = load_digits("uci", "eval")
    by_pixels = {image.tobytes(): int(label) for image, label in zip(digits.images, digits.labels, strict=True)}
    for index in range(10):
        canvas, label, positions, _ = config.canvas("eval", index)
        found = [by_pixels[canvas[y : y + 28, x : x + 28].tobytes()] for y, x in positions]
        assert canvas.shape == (600, 800)
        assert [digit == label for digit in found] == [True, True, True, False, False]


def test_noise_is_two_thin_bright_lines():
    patterns = noise_patterns(MegapixelConfig())
    assert patterns.shape == (50, 28, 28)
    drawn = (patterns > 0).sum(axis=(1, 2))
    assert drawn.min() >= 20
    assert drawn.max() <= 120
    assert patterns[patterns > 0].min() >= 203


def test_noise_can_be_left_out_and_images_repeat():
    quiet = MegapixelConfig(height=300, width=300, num_noise=0)
    canvas, _, positions, _ = quiet.canvas("train", 4)
    for y, x in positions:
        canvas[y : y + 28, x : x + 28] = 0
    assert not canvas.any()
    np.testing.assert_array_equal(quiet.canvas("train", 7)[0], quiet.canvas("train", 7)[0])


def test_small_canvas_is_refused():
    with pytest.raises(ConfigError, match="height"):
        MegapixelConfig(height=100)


def test_writes_a_data_set(tmp_path):
    manifest = write_canvases(str(tmp_path / "m"), MegapixelConfig(height=300, width=320), {"train": 2, "eval": 1})
    assert len(manifest.read_text().splitlines()) == 3


def test_quarters_have_the_ink_and_the_contrast_of_digits_and_are_none():
    config = MegapixelConfig(height=600, width=600, scribbles="quarters")
    drawings = [draw(config, "train", index) for index in range(40)]
    digits = np.concatenate([drawing.patches[-5:] for drawing in drawings]).reshape(-1, 28 * 28)
    scribbles = np.concatenate([drawing.patches[:-5] for drawing in drawings]).reshape(-1, 28 * 28)
    for measure in (np.mean, np.std):
        of_digit, of_scribble = measure(digits, axis=1), measure(scribbles, axis=1)
        higher = np.mean(of_digit[:, None] > of_scribble)  # 0.5 where the measure tells nothing
        assert 0.4 < higher < 0.6
    real = {image.tobytes() for image in load_digits("uci", "train").images}
    assert not any(scribble.tobytes() in real for scribble in scribbles.reshape(-1, 28, 28))
    lines = np.concatenate([draw(config.replace(scribbles="lines"), "train", index).patches[:-5] for index in range(9)])
    assert np.mean(digits.mean(1)[:, None] > lines.mean((1, 2))) > 0.9


def test_other_scribbles_are_refused():
    with pytest.raises(ConfigError, match="quarters"):
        MegapixelConfig(scribbles="curls")
