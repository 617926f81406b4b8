"""Handwritten digits of 28 px from three sources, each split into disjoint training, evaluation and test digits."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfvs.errors import ConfigError, DataError, ResourceError

DIGIT_PX = 28
SOURCES_HELP = "uci, mnist (keras.datasets) or the path of an .npz."
SPLITS = ("train", "eval", "test")

# The last 5 000 of MNIST's 60 000 training digits are kept for evaluation, as is usual.
_MNIST_EVAL_DIGITS = 5_000
# Rows of the bundled digits by their index modulo ten: one in ten evaluates, two in ten test.
_UCI_RESIDUES = {"train": (3, 4, 5, 6, 7, 8, 9), "eval": (0,), "test": (1, 2)}
_UCI_FULL_SCALE = 16


class Digits(NamedTuple):
    """Digits of one split.

    Attributes:
      images: ``[N, 28, 28]`` uint8, bright strokes on black.
      labels: ``[N]`` int64, 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


def load_digits(source: str = "uci", split: str = "train") -> Digits:
    """Loads the digits of one split; no digit lies in two splits.

    Args:
      source: ``"uci"``: the 1 797 real digits of 8 × 8 px that scikit-learn bundles, enlarged smoothly, offline.
        ``"mnist"``: ``keras.datasets.mnist``, which downloads 11 MB at first use. Anything else is the path of an
        ``.npz`` file with Keras' array names ``x_train``, ``y_train``, ``x_test``, ``y_test``.
      split: ``"train"``, ``"eval"`` or ``"test"``.

    Returns:
      The digits.

    Raises:
      ConfigError: An unknown split.
      DataError: The file is missing or holds something else.
      ResourceError: scikit-learn is not installed.
    """
    if split not in SPLITS:
        raise ConfigError("There is no such split of the digits", expected=SPLITS, received=split)
    return _load_splits(source)[split]


def digits_fingerprint(source: str) -> str:
    """Hex digest of all digits of a source, so that a data set made from other digits is told apart."""
    digest = hashlib.sha256()
    for digits in _load_splits(source).values():
        digest.update(np.ascontiguousarray(digits.images).tobytes())
        digest.update(digits.labels.astype("<i8").tobytes())
    return digest.hexdigest()


@functools.lru_cache(maxsize=2)
def _load_splits(source: str) -> dict[str, Digits]:
    if source == "uci":
        return _load_uci()
    if source == "mnist":
        return _split_mnist(*_download_mnist())
    return _split_mnist(*_read_npz(Path(source)))


def _load_uci() -> dict[str, Digits]:
    try:
        from sklearn.datasets import load_digits as load_bundled
    except ImportError as error:
        raise ResourceError(
            "The bundled digits come with scikit-learn, which is not installed",
            mend="pip install scikit-learn, or use another source: 'mnist' or the path of an mnist.npz",
        ) from error
    bundled = load_bundled()
    images = np.stack([enlarge(image) for image in bundled.images])
    labels = bundled.target.astype(np.int64)
    residue = np.arange(len(labels)) % 10
    masks = {split: np.isin(residue, kept) for split, kept in _UCI_RESIDUES.items()}
    return {split: Digits(images[mask], labels[mask]) for split, mask in masks.items()}


def enlarge(image: np.ndarray) -> np.ndarray:
    """An 8 × 8 digit of 0 to 16 → 28 × 28 uint8, bicubic, with a black margin as MNIST's digits have."""
    padded = np.pad(image.astype(np.float32) * (255 / _UCI_FULL_SCALE), 1)
    return resize(padded, DIGIT_PX)


def resize(image: np.ndarray, size_px: int) -> np.ndarray:
    """A square grey image → ``[size_px, size_px]`` uint8; bicubic, smoothed first where it shrinks."""
    weights = _bicubic_weights(image.shape[0], size_px)
    resized = weights @ image.astype(np.float32) @ weights.T
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=64)
def _bicubic_weights(size: int, resized: int) -> np.ndarray:
    """``[resized, size]`` float32; the kernel is separable, so enlarging an identity's columns shows its weights."""
    from PIL import Image

    identity = Image.fromarray(np.eye(size, dtype=np.float32))
    return np.asarray(identity.resize((size, resized), Image.Resampling.BICUBIC))


def _download_mnist() -> tuple[np.ndarray, ...]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # whatever the network or the cache folder raises
        raise DataError(
            "MNIST cannot be downloaded",
            received=f"{type(error).__name__}: {error}",
            mend="Give the path of an mnist.npz, or use the bundled digits: 'uci'",
        ) from error
    return x_train, y_train, x_test, y_test


def _read_npz(path: Path) -> tuple[np.ndarray, ...]:
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in names if name not in arrays]
            loaded = () if missing else tuple(arrays[name] for name in names)
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            "The digits cannot be read",
            expected="'uci', 'mnist' or the path of an .npz file",
            received=f"{path} ({error})",
        ) from error
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}", expected=f"arrays {', '.join(names)}")
    for images, labels in (loaded[:2], loaded[2:]):
        if images.ndim != 3 or images.shape[1:] != (DIGIT_PX, DIGIT_PX) or images.dtype != np.uint8:
            raise DataError(
                f"{path} holds other images",
                expected=f"[N, {DIGIT_PX}, {DIGIT_PX}] uint8",
                received=f"{list(images.shape)} {images.dtype}",
            )
        if labels.shape != images.shape[:1] or labels.min(initial=0) < 0 or labels.max(initial=0) > 9:
            raise DataError(f"{path} holds other labels", expected="[N] integers, 0 to 9", received=labels.shape)
    return loaded


def _split_mnist(x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> dict[str, Digits]:
    held_out = min(_MNIST_EVAL_DIGITS, len(x_train) // 2)
    border = len(x_train) - held_out
    y_train, y_test = y_train.astype(np.int64), y_test.astype(np.int64)
    splits = {
        "train": Digits(x_train[:border], y_train[:border]),
        "eval": Digits(x_train[border:], y_train[border:]),
        "test": Digits(x_test, y_test),
    }
    for split, digits in splits.items():
        if not len(digits.labels):
            raise DataError(
                "Too few digits to split",
                expected="two or more for training, one for the test",
                received=f"none for {split}",
            )
    return splits
