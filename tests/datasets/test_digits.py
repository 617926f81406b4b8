import numpy as np
import pytest

from tfvs.datasets.digits import DIGIT_PX, SPLITS, digits_fingerprint, load_digits, resize
from tfvs.errors import ConfigError, DataError


def _npz(path, count=20, **changes):
    arrays = {
        "x_train": np.arange(count * 784, dtype=np.uint8).reshape(count, 28, 28),
        "y_train": np.arange(count) % 10,
        "x_test": np.zeros([5, 28, 28], np.uint8),
        "y_test": np.arange(5),
    }
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)


def test_bundled_digits_are_real_and_split_disjointly():
    pytest.importorskip("sklearn")
    splits = [load_digits("uci", split) for split in SPLITS]
    assert sum(len(digits.labels) for digits in splits) == 1797
    for digits in splits:
        assert digits.images.shape[1:] == (DIGIT_PX, DIGIT_PX)
        assert digits.images.dtype == np.uint8
        assert set(digits.labels) == set(range(10))
        assert digits.images.max() == 255
    seen = [{image.tobytes() for image in digits.images} for digits in splits]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_npz_keeps_its_test_digits_and_holds_out_evaluation(tmp_path):
    path = _npz(tmp_path / "m.npz")
    train, evaluation, test = (load_digits(path, split) for split in SPLITS)
    assert [len(d.labels) for d in (train, evaluation, test)] == [10, 10, 5]
    np.testing.assert_array_equal(np.concatenate([train.labels, evaluation.labels]), np.arange(20) % 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"x_train": None},
        {"x_test": np.zeros([5, 8, 8], np.uint8)},
        {"x_train": np.zeros([20, 28, 28], np.float32)},
        {"y_train": np.full([20], 10)},
        {"y_test": np.zeros([4], int)},
    ],
)
def test_wrong_npz_is_told_apart(tmp_path, changes):
    with pytest.raises(DataError):
        load_digits(_npz(tmp_path / "m.npz", **changes), "train")


def test_missing_or_damaged_file_is_a_data_error(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    for name in ("bad.npz", "none.npz"):
        with pytest.raises(DataError, match=name):
            load_digits(str(tmp_path / name))


def test_unknown_split_is_refused():
    with pytest.raises(ConfigError, match="validation"):
        load_digits("uci", "validation")


def test_fingerprint_depends_on_the_digits(tmp_path):
    first = _npz(tmp_path / "a.npz")
    second = _npz(tmp_path / "b.npz", y_test=np.arange(5)[::-1])
    assert digits_fingerprint(first) != digits_fingerprint(second)
    assert digits_fingerprint(first) == digits_fingerprint(_npz(tmp_path / "c.npz"))


@pytest.mark.parametrize("size", [14, 28, 40, 200])
def test_resize_keeps_a_constant_and_mean_brightness(size):
    assert (resize(np.full([28, 28], 100, np.uint8), size) == 100).all()
    image = np.zeros([28, 28], np.uint8)
    image[8:20, 6:22] = 200
    assert abs(resize(image, size).mean() - image.mean()) < 3


def test_resize_agrees_with_pillow():
    from PIL import Image

    image = np.random.default_rng(0).integers(256, size=(28, 28), dtype=np.uint8)
    grey = Image.fromarray(image.astype(np.float32))  # on bytes, Pillow clips between its two passes
    theirs = np.clip(np.asarray(grey.resize((41, 41), Image.Resampling.BICUBIC)), 0, 255)
    assert np.abs(resize(image, 41) - theirs).max() <= 0.51
