"""Megapixel MNIST, as attention sampling (Katharopoulos & Fleuret 2019) and IPS (Bergner et al. 2023) define it.

Five digits of 28 px on a black canvas of 1 500² px or more: three of the class, two of others; and 50 scribbles of two
straight lines that look like digits from afar. Image ``i`` of a split depends on the seed, the split and ``i`` alone.

    python -m tfvs.datasets.megapixel_mnist --output DIR --train 5000 --eval 500 --test 1000

It writes images; :mod:`tfvs.datasets.megapixel_pyramids` writes pyramids and records at once, for thousands of images.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from tfvs.config import option
from tfvs.datasets.canvases import Canvas, CanvasConfig, dataset_command, random_of, write_canvases
from tfvs.datasets.digits import DIGIT_PX, SPLITS, Digits, load_digits

NUM_DIGITS = 5
NUM_OF_TARGET = 3
CLASS_NAMES = tuple(str(digit) for digit in range(10))
SCRIBBLES = ("lines", "quarters")
SMALLEST_PX = 8 * DIGIT_PX  # below it five digits may find no room


@dataclass(frozen=True)
class MegapixelConfig(CanvasConfig):
    """What the canvases look like."""

    height: int = option(1500, "Height of the canvases, pixels.", at_least=SMALLEST_PX)
    width: int = option(1500, "Width of the canvases, pixels.", at_least=SMALLEST_PX)
    num_noise: int = option(
        50, "Number of scribbles on a canvas, and of the patterns that they are drawn from.", at_least=0
    )
    scribbles: str = option(
        "lines",
        "Straight lines, or quarters: each put together from quarters of four digits of different classes, so that "
        "neither ink nor contrast tells it from a digit.",
        choices=SCRIBBLES,
    )

    name: ClassVar[str] = "megapixel_mnist"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return CLASS_NAMES

    def canvas(self, split: str, index: int) -> Canvas:
        """One image, whose label is the class of three of its digits; their positions come first."""
        drawing = draw(self, split, index)
        image = np.zeros([self.height, self.width], np.uint8)
        for (top, left), patch in zip(drawing.corners, drawing.patches, strict=True):
            image[top : top + DIGIT_PX, left : left + DIGIT_PX] = patch
        return Canvas(image, drawing.label, drawing.positions, DIGIT_PX)


class Drawing(NamedTuple):
    """What is pasted on a black canvas, each square over those before it.

    Attributes:
      label: Class index.
      patches: ``[N, 28, 28]`` uint8: the scribbles, then the digits of the class, then those of others.
      corners: ``[N, 2]`` int32: top and left of each square, pixels.
    """

    label: int
    patches: np.ndarray
    corners: np.ndarray

    @property
    def positions(self) -> np.ndarray:
        """``[5, 2]`` int32: top and left of each digit's square, those of the class first."""
        return self.corners[-NUM_DIGITS:]


@functools.lru_cache(maxsize=8)
def noise_patterns(config: MegapixelConfig) -> np.ndarray:
    """The data set's scribbles: two straight lines each, of uneven brightness; ``[num_noise, 28, 28]`` uint8."""
    random = np.random.default_rng((config.seed, len(SPLITS)))
    lines = np.zeros([config.num_noise, DIGIT_PX, DIGIT_PX], bool)
    for line, slope in zip(lines, np.tan(random.random(config.num_noise) * np.pi / 2.5), strict=True):
        end = min(DIGIT_PX - 0.51, (DIGIT_PX - 0.51) / slope)
        row = np.linspace(0, end, 2 * DIGIT_PX)
        line[np.rint(row).astype(int), np.rint(slope * row).astype(int)] = True
    others = lines[random.permutation(config.num_noise)]
    for axis in (1, 2):
        flipped = random.random(config.num_noise) < 1 / 3
        others[flipped] = np.flip(others[flipped], axis)
    brightness = random.uniform(0.8, 1.0, lines.shape)
    return np.rint(255 * (lines | others) * brightness).astype(np.uint8)


def draw(config: MegapixelConfig, split: str, index: int) -> Drawing:
    """What one image shows, and where.

    Args:
      config: Configuration of the canvases.
      split: ``"train"``, ``"eval"`` or ``"test"``: digits and randomness of its own.
      index: Index of the image in its split.
    """
    digits = load_digits(config.digits, split)
    random = random_of(config.seed, split, index)
    label = int(random.integers(10))
    of_target = random.choice(np.flatnonzero(digits.labels == label), NUM_OF_TARGET)
    others = random.choice(np.flatnonzero(digits.labels != label), NUM_DIGITS - NUM_OF_TARGET)
    corners = random.integers((config.height - DIGIT_PX, config.width - DIGIT_PX), size=(config.num_noise, 2))
    if config.scribbles == "lines":
        scribbles = noise_patterns(config)[random.integers(max(1, config.num_noise), size=config.num_noise)]
    else:
        scribbles = _quarters(digits, config.num_noise, random)
    positions = _place(config, random)
    return Drawing(
        label,
        np.concatenate([scribbles, digits.images[np.concatenate([of_target, others])]]),
        np.concatenate([corners, positions]).astype(np.int32),
    )


def _quarters(digits: Digits, count: int, random: np.random.Generator) -> np.ndarray:
    """``[count, 28, 28]`` uint8: each quarter is that of another digit, of another class."""
    half = DIGIT_PX // 2
    of_class = [np.flatnonzero(digits.labels == label) for label in range(10)]
    scribbles = np.zeros([count, DIGIT_PX, DIGIT_PX], np.uint8)
    for scribble in scribbles:
        for quarter, label in enumerate(random.permutation(10)[:4]):
            chosen = digits.images[random.choice(of_class[label])]
            top, left = quarter // 2 * half, quarter % 2 * half
            place = (slice(top, top + half), slice(left, left + half))
            scribble[place] = chosen[place]
    return scribbles


def _place(config: MegapixelConfig, random: np.random.Generator) -> np.ndarray:
    placed: list[np.ndarray] = []
    while len(placed) < NUM_DIGITS:
        corner = random.integers((config.height - DIGIT_PX + 1, config.width - DIGIT_PX + 1))
        if all(np.abs(corner - other).max() >= DIGIT_PX for other in placed):
            placed.append(corner)
    return np.stack(placed).astype(np.int32)


@dataset_command(MegapixelConfig, train=5000, evaluation=500, test=1000)
def main(output: str, config: MegapixelConfig, counts: dict[str, int], overwrite: bool) -> Path:
    """Writes Megapixel MNIST as PNG files with a manifest. Goes on where it was stopped."""
    return write_canvases(output, config, counts, overwrite=overwrite)


if __name__ == "__main__":
    main()
