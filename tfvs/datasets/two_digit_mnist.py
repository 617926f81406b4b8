"""Two handwritten digits on a cluttered canvas of any size: which pair is it, or what is their sum?

The paper's first experiments. Image ``i`` of a split depends on the seed, the split and ``i`` alone.

    python -m tfvs.datasets.two_digit_mnist --output DIR --train 4000 --eval 500 --test 500
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfvs.config import Config, option, require
from tfvs.datasets.canvases import Canvas, dataset_command, random_of, write_canvases
from tfvs.datasets.digits import DIGIT_PX, SOURCES_HELP, Digits, load_digits, resize
from tfvs.flags import from_flags

TASKS = ("identify", "sum", "one")
_PAIRS = tuple(itertools.combinations_with_replacement(range(10), 2))
# Candidate placements drawn at once; the first without overlap is taken.
_PLACEMENTS = 8


def _parse_size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width or height)


@dataclass(frozen=True)
class TwoDigitConfig(Config):
    """What the canvases look like.

    The paper's setting is the default. Its large images (a 100² canvas enlarged to 2 528²) are
    ``canvas_sizes=((2528, 2528),), digit_px=708``; the honest large canvas keeps ``digit_px=28``.
    """

    task: str = option(
        "identify",
        "identify: the unordered pair (55 classes); sum: 0 to 18 (19 classes); one: a single digit (10 classes).",
        choices=TASKS,
    )
    canvas_sizes: tuple[tuple[int, int], ...] = option(
        ((100, 100),),
        "HEIGHTxWIDTH, pixels; repeatable: each image draws one of them.",
        parse=_parse_size,
        flag="canvas",
    )
    digit_px: int = option(
        DIGIT_PX, "Side of a digit's square, pixels; 28 is native, others are scaled smoothly.", at_least=4
    )
    num_distractors: int = option(8, "Pieces of other digits strewn over the canvas.", at_least=0)
    distractor_px: int = option(
        8,
        "Side of such a piece, pixels of a 28-px digit: it scales with digit_px. The paper's generators use 8 and 9.",
        at_least=1,
        at_most=DIGIT_PX,
    )
    digits: str = option("uci", SOURCES_HELP)
    seed: int = option(0, "Of everything drawn.", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = tuple(tuple(int(side) for side in size) for size in self.canvas_sizes)
        object.__setattr__(self, "canvas_sizes", sizes)
        require(
            len(sizes) > 0 and all(len(size) == 2 for size in sizes),
            "Canvas sizes are wrong",
            expected="(height, width) pairs",
            received=self.canvas_sizes,
        )
        longest = self.digit_px * self.num_digits
        for size in sizes:
            require(
                min(size) >= self.digit_px and max(size) >= longest,
                "The digits do not fit on the canvas side by side",
                expected=f"sides of at least {self.digit_px} and {longest} px",
                received=size,
                mend="Enlarge canvas_sizes or reduce digit_px",
            )

    @property
    def num_digits(self) -> int:
        """Digits on a canvas."""
        return 1 if self.task == "one" else 2

    @property
    def num_classes(self) -> int:
        """Classes of the task."""
        return len(class_names(self))


class Canvases(NamedTuple):
    """Generated images.

    Attributes:
      images: ``[N, H, W]`` uint8 where all have one size, else a list of ``[H, W]`` uint8.
      labels: ``[N]`` int64.
      positions: ``[N, digits, 2]`` int32: top and left of each digit's square, pixels.
    """

    images: np.ndarray | list[np.ndarray]
    labels: np.ndarray
    positions: np.ndarray


def pair_index(first: int, second: int) -> int:
    """Class of an unordered pair of digits, 0 to 54.

    >>> pair_index(0, 0), pair_index(3, 1), pair_index(1, 3), pair_index(9, 9)
    (0, 12, 12, 54)
    """
    low, high = sorted((int(first), int(second)))
    return low * 10 - low * (low - 1) // 2 + high - low


def pair_of(index: int) -> tuple[int, int]:
    """The inverse of :func:`pair_index`, smaller digit first."""
    return _PAIRS[index]


def class_names(config: TwoDigitConfig) -> list[str]:
    """Names of the classes, by index.

    >>> class_names(TwoDigitConfig(task="identify"))[12]
    '1 and 3'
    """
    if config.task == "identify":
        return [f"{low} and {high}" for low, high in _PAIRS]
    return [str(index) for index in range(19 if config.task == "sum" else 10)]


def make_canvas(config: TwoDigitConfig, split: str, index: int) -> Canvas:
    """One image.

    Args:
      config: Configuration of the canvases.
      split: ``"train"``, ``"eval"`` or ``"test"``: digits and randomness of its own.
      index: Index of the image in its split.
    """
    digits = load_digits(config.digits, split)
    random = random_of(config.seed, split, index)
    sizes = config.canvas_sizes
    height, width = sizes[random.integers(len(sizes))] if len(sizes) > 1 else sizes[0]
    canvas = np.zeros([height, width], np.uint8)
    _strew_distractors(canvas, config, digits, random)
    positions = _place(config, height, width, random)
    chosen = random.integers(len(digits.labels), size=config.num_digits)
    for (top, left), digit in zip(positions, chosen, strict=True):
        _paste(canvas, _scaled(digits.images[digit], config.digit_px), top, left)
    return Canvas(canvas, _label(config.task, digits.labels[chosen]), positions)


def generate(config: TwoDigitConfig, split: str, count: int, *, start: int = 0) -> Canvases:
    """Images ``start`` to ``start + count`` of a split.

    Args:
      config: Configuration of the canvases.
      split: ``"train"``, ``"eval"`` or ``"test"``.
      count: Number of images.
      start: Index of the first.

    Returns:
      The images, labels and positions.
    """
    labels = np.zeros([count], np.int64)
    positions = np.zeros([count, config.num_digits, 2], np.int32)
    images: np.ndarray | list[np.ndarray]
    one_size = len(config.canvas_sizes) == 1
    images = np.zeros([count, *config.canvas_sizes[0]], np.uint8) if one_size else [np.zeros([0])] * count
    for i in range(count):
        images[i], labels[i], positions[i] = make_canvas(config, split, start + i)
    return Canvases(images, labels, positions)


def _label(task: str, digits: np.ndarray) -> int:
    return pair_index(*digits) if task == "identify" else int(digits.sum())


def _strew_distractors(canvas: np.ndarray, config: TwoDigitConfig, digits: Digits, random: np.random.Generator) -> None:
    """Pieces cut from anywhere in random digits, laid anywhere on the canvas."""
    size = config.distractor_px
    scaled = max(1, round(size * config.digit_px / DIGIT_PX))
    scaled = min(scaled, *canvas.shape)
    sources = random.integers(len(digits.labels), size=config.num_distractors)
    cuts = random.integers(DIGIT_PX - size + 1, size=(config.num_distractors, 2))
    spans = (canvas.shape[0] - scaled + 1, canvas.shape[1] - scaled + 1)
    places = random.integers(spans, size=(config.num_distractors, 2))
    for source, (row, column), (top, left) in zip(sources, cuts, places, strict=True):
        piece = digits.images[source, row : row + size, column : column + size]
        _paste(canvas, _scaled(piece, scaled), top, left)


def _place(config: TwoDigitConfig, height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Corners of squares that do not overlap, uniform over all such placements."""
    spans = (height - config.digit_px + 1, width - config.digit_px + 1)
    if config.num_digits == 1:
        return random.integers(spans, size=(1, 2)).astype(np.int32)
    while True:
        tried = random.integers(spans, size=(_PLACEMENTS, 2, 2))
        apart = np.abs(tried[:, 0] - tried[:, 1]).max(axis=-1) >= config.digit_px
        if apart.any():
            return tried[apart.argmax()].astype(np.int32)


def _scaled(image: np.ndarray, size_px: int) -> np.ndarray:
    return image if image.shape[0] == size_px else resize(image, size_px)


def _paste(canvas: np.ndarray, patch: np.ndarray, top: int, left: int) -> None:
    """Lays a patch over the canvas; where both are bright, the brighter wins."""
    region = canvas[top : top + patch.shape[0], left : left + patch.shape[1]]
    np.maximum(region, patch, out=region)


def write(output: str, config: TwoDigitConfig, counts: dict[str, int], *, overwrite: bool = False) -> Path:
    """Writes a data set as images and a manifest; see :func:`tfvs.datasets.canvases.write_canvases`."""
    return write_canvases(
        output,
        lambda split, index: make_canvas(config, split, index),
        counts,
        description={"two_digit_mnist": config.to_dict()},
        digits=config.digits,
        digit_px=config.digit_px,
        class_names=class_names(config),
        overwrite=overwrite,
    )


@dataset_command(TwoDigitConfig, train=4000, evaluation=500, test=500)
def main(output: str, counts: dict[str, int], overwrite: bool, **fields: Any) -> Path:
    """Writes two-digit canvases as PNG files with a manifest. Goes on where it was stopped."""
    return write(output, from_flags(TwoDigitConfig, fields), counts, overwrite=overwrite)


if __name__ == "__main__":
    main()
