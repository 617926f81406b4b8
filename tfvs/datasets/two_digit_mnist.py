"""Two handwritten digits on a cluttered canvas of any size: which pair is it, or what is their sum?

The paper's first experiments. Image ``i`` of a split depends on the seed, the split and ``i`` alone.

    python -m tfvs.datasets.two_digit_mnist --output DIR --train 4000 --eval 500 --test 500
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from tfvs.config import option, require
from tfvs.datasets.canvases import Canvas, CanvasConfig, dataset_command, random_of, write_canvases
from tfvs.datasets.digits import DIGIT_PX, Digits, load_digits, resize

TASKS = ("identify", "sum", "one")
_PAIRS = tuple(itertools.combinations_with_replacement(range(10), 2))
# Candidate placements drawn at once; the first without overlap is taken.
_PLACEMENTS = 8


def _parse_size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width or height)


@dataclass(frozen=True)
class TwoDigitConfig(CanvasConfig):
    """What the canvases look like.

    The paper's setting is the default. Its large images (a 100² canvas enlarged to 2 528²) are
    ``canvas_sizes=((2528, 2528),), digit_px=708``; a canvas that is truly larger keeps ``digit_px=28``.
    """

    task: str = option(
        "identify",
        "identify: the unordered pair (55 classes); sum: 0 to 18 (19 classes); one: a single digit (10 classes).",
        choices=TASKS,
    )
    canvas_sizes: tuple[tuple[int, int], ...] = option(
        ((100, 100),),
        "HEIGHTxWIDTH, pixels; repeatable: each image draws one of them.",
        least_items=1,
        parse=_parse_size,
        flag="canvas",
    )
    digit_px: int = option(
        DIGIT_PX, "Side of a digit's square, pixels; 28 is native, others are scaled smoothly.", at_least=4
    )
    num_distractors: int = option(8, "Number of pieces of other digits on the canvas.", at_least=0)
    distractor_px: int = option(
        8,
        "Side of such a piece, pixels of a 28-px digit: it scales with digit_px. The paper's generators use 8 and 9.",
        at_least=1,
        at_most=DIGIT_PX,
    )

    name: ClassVar[str] = "two_digit_mnist"

    def __post_init__(self) -> None:
        super().__post_init__()
        longest = self.digit_px * self.num_digits
        for size in self.canvas_sizes:
            require(
                min(size) >= self.digit_px and max(size) >= longest,
                "The digits do not fit on the canvas side by side",
                expected=f"sides of at least {self.digit_px} and {longest} px",
                received=size,
                mend="Enlarge canvas_sizes or reduce digit_px",
            )

    @property
    def num_digits(self) -> int:
        """Number of digits on a canvas."""
        return 1 if self.task == "one" else 2

    @property
    def num_classes(self) -> int:
        """Number of classes of the task."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label.

        >>> TwoDigitConfig(task="identify").class_names[12]
        '1 and 3'
        """
        if self.task == "identify":
            return tuple(f"{low} and {high}" for low, high in _PAIRS)
        return tuple(str(index) for index in range(19 if self.task == "sum" else 10))

    def canvas(self, split: str, index: int) -> Canvas:
        """One image; see :meth:`tfvs.datasets.canvases.CanvasConfig.canvas`."""
        digits = load_digits(self.digits, split)
        random = random_of(self.seed, split, index)
        sizes = self.canvas_sizes
        height, width = sizes[random.integers(len(sizes))] if len(sizes) > 1 else sizes[0]
        image = np.zeros([height, width], np.uint8)
        _strew_distractors(image, self, digits, random)
        positions = _place(self, height, width, random)
        chosen = random.integers(len(digits.labels), size=self.num_digits)
        for (top, left), digit in zip(positions, chosen, strict=True):
            _paste(image, _scaled(digits.images[digit], self.digit_px), top, left)
        return Canvas(image, _label(self.task, digits.labels[chosen]), positions, self.digit_px)


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
        images[i], labels[i], positions[i], _ = config.canvas(split, start + i)
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


@dataset_command(TwoDigitConfig, train=4000, evaluation=500, test=500)
def main(output: str, config: TwoDigitConfig, counts: dict[str, int], overwrite: bool) -> Path:
    """Writes two-digit canvases as PNG files with a manifest. Goes on where it was stopped."""
    return write_canvases(output, config, counts, overwrite=overwrite)


if __name__ == "__main__":
    main()
