"""Made photographs of landscapes, each with one small speed-limit sign somewhere: the class is the number on it.

    python -m tfvs.datasets.sign_photographs --output photos --train 300

A folder per class, as one's own photographs would lie: ``photos/30/000000.jpg``; with evaluation or test images folders
of the splits lie above. At 3 000 × 2 000 pixels a sign of 100 pixels covers a 760th of the photograph. In a proxy of
96 × 64 it is a reddish dot: where it stands can be seen there, its number cannot.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from tqdm import tqdm

from tfvs.config import Config, option, require
from tfvs.datasets.canvases import dataset_command, random_of
from tfvs.datasets.writing import encode_jpeg, replace_file
from tfvs.errors import ResourceError

CLASS_NAMES = ("30", "50", "80")
RED, WHITE, BLACK, GREY = (196, 24, 32), (244, 244, 240), (20, 20, 22), (120, 122, 124)
# Discs and boards of a sign's size that are none.
OTHERS = ((24, 70, 160), (224, 178, 20), (40, 120, 60))


@dataclass(frozen=True)
class SignConfig(Config):
    """What the photographs are like."""

    width: int = option(3000, "Width of a photograph, pixels.", at_least=64)
    height: int = option(2000, "Height of a photograph, pixels.", at_least=64)
    sign_px: int = option(100, "Diameter of the sign, pixels.", at_least=8)
    look_alikes: int = option(3, "Discs and boards of the sign's size in other colours.", at_least=0)
    quality: int = option(90, "JPEG quality.", at_least=1, at_most=100)
    seed: int = option(0, "Photograph i of a split depends on this, the split and i alone.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            4 * self.sign_px <= min(self.height, self.width),
            "The sign is no small thing",
            expected=f"at most a quarter of the shorter side, {min(self.height, self.width) // 4} px",
            received=self.sign_px,
        )


def draw(config: SignConfig, split: str, index: int) -> tuple[Image.Image, int, tuple[int, int]]:
    """One photograph.

    Args:
      config: What it is like.
      split: ``"train"``, ``"eval"`` or ``"test"``.
      index: Its number in the split.

    Returns:
      The photograph, its label, and left and top of the sign's square, pixels.
    """
    random = random_of(config.seed, split, index)
    label = index % len(CLASS_NAMES)
    width, height = config.width, config.height
    horizon = int(height * random.uniform(0.3, 0.5))
    picture = _sky_and_ground(random, width, height, horizon)
    pen = ImageDraw.Draw(picture)
    _draw_hills(random, pen, width, height, horizon)
    for _ in range(random.integers(2, 6)):
        _draw_house(random, pen, width, height, horizon)
    for _ in range(random.integers(8, 20)):
        _draw_tree(random, pen, width, height, horizon)
    picture = _with_grain(random, picture)
    places = _places(random, config, horizon)
    for place in places[1:]:
        _draw_look_alike(random, picture, place, config.sign_px)
    _draw_sign(random, picture, places[0], config.sign_px, CLASS_NAMES[label])
    return picture.filter(ImageFilter.GaussianBlur(0.6)), label, places[0]


def write(
    output: str | os.PathLike[str], config: SignConfig, counts: Mapping[str, int], *, overwrite: bool = False
) -> Path:
    """Writes photographs as JPEG; goes on where it was stopped, and leaves those alone that are there.

    Args:
      output: Folder, made where missing.
      config: What the photographs are like.
      counts: Photographs per split; where only those for training are wanted, no folders of splits are made.
      overwrite: Whether photographs that are there are drawn again.

    Returns:
      The folder.

    Raises:
      ResourceError: The folder cannot be written to, or the disk is full.
    """
    folder, flat = Path(output), not any(count for split, count in counts.items() if split != "train")
    try:
        with tqdm(total=sum(counts.values()), unit="image", desc=folder.name, file=sys.stderr, mininterval=1.0) as bar:
            for split, count in counts.items():
                for index in range(count):
                    top = folder if flat else folder / split
                    path = top / CLASS_NAMES[index % len(CLASS_NAMES)] / f"{index:06d}.jpg"
                    if overwrite or not path.exists():
                        path.parent.mkdir(parents=True, exist_ok=True)
                        replace_file(path, encode_jpeg(draw(config, split, index)[0], config.quality))
                    bar.update()
    except OSError as error:
        raise ResourceError(
            "The photographs cannot be written",
            received=error,
            mend="Check the disk's free space and the folder's permissions, then run the same command again",
        ) from error
    return folder


def _colour(random: np.random.Generator, low: tuple[int, int, int], high: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(int(value) for value in random.integers(low, np.array(high) + 1))


def _sky_and_ground(random: np.random.Generator, width: int, height: int, horizon: int) -> Image.Image:
    """Gradients with clouds and patches, made small and enlarged, as soft things may be."""
    small = np.zeros([height // 16 + 2, width // 16 + 2, 3], np.float32)
    border = horizon // 16
    top, low = _colour(random, (80, 120, 180), (130, 170, 230)), _colour(random, (180, 195, 205), (220, 225, 235))
    near, far = _colour(random, (70, 90, 40), (120, 130, 80)), _colour(random, (90, 110, 60), (140, 150, 100))
    for rows, first, last in ((slice(0, border), top, low), (slice(border, None), far, near)):
        count = small[rows].shape[0]
        ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)[:, None, None]
        small[rows] = np.array(first, np.float32) * (1 - ramp) + np.array(last, np.float32) * ramp
    clouds = random.normal(0.0, 12.0, [small.shape[0] // 6 + 2, small.shape[1] // 6 + 2]).astype(np.float32)
    soft = Image.fromarray(clouds).resize((small.shape[1], small.shape[0]), Image.Resampling.BICUBIC)
    small += np.asarray(soft)[..., None]
    pixels = np.clip(small, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def _draw_hills(random: np.random.Generator, pen: ImageDraw.ImageDraw, width: int, height: int, horizon: int) -> None:
    for layer in range(2):
        x = np.linspace(0, width, 25)
        y = horizon - height * 0.08 * (1 - layer) + np.cumsum(random.normal(0.0, height * 0.012, 25))
        outline = [(0, height), *zip(x.tolist(), y.tolist(), strict=True), (width, height)]
        green = _colour(random, (60, 80, 50), (110, 125, 90))
        pen.polygon(outline, fill=green)
    road, at = _colour(random, (95, 95, 98), (125, 125, 128)), random.uniform(0.2, 0.8) * width
    pen.polygon([(at - 20, horizon), (at + 20, horizon), (at + width * 0.2, height), (at - width * 0.25, height)], road)


def _draw_house(random: np.random.Generator, pen: ImageDraw.ImageDraw, width: int, height: int, horizon: int) -> None:
    side, rise = random.uniform(0.05, 0.12) * width, random.uniform(0.05, 0.12) * height
    left, base = random.uniform(0, width - side), random.uniform(horizon, horizon + 0.25 * height)
    wall = _colour(random, (150, 140, 125), (205, 195, 180))
    pen.rectangle([left, base - rise, left + side, base], fill=wall)
    roof = [(left - side * 0.05, base - rise), (left + side * 1.05, base - rise), (left + side / 2, base - rise * 1.6)]
    pen.polygon(roof, fill=_colour(random, (90, 60, 50), (130, 90, 80)))
    for column in range(3):
        x = left + side * (0.12 + 0.3 * column)
        pen.rectangle([x, base - rise * 0.7, x + side * 0.14, base - rise * 0.4], fill=(80, 90, 105))


def _draw_tree(random: np.random.Generator, pen: ImageDraw.ImageDraw, width: int, height: int, horizon: int) -> None:
    x, base, size = random.uniform(0, width), random.uniform(horizon, height), random.uniform(0.03, 0.09) * height
    pen.rectangle([x - size * 0.08, base - size, x + size * 0.08, base], fill=(80, 62, 45))
    for _ in range(8):
        dx, dy, radius = random.normal(0, size * 0.35), random.normal(0, size * 0.3), size * random.uniform(0.25, 0.45)
        leaf = _colour(random, (35, 60, 25), (75, 105, 50))
        pen.ellipse(
            [x + dx - radius, base - 1.3 * size + dy - radius, x + dx + radius, base - 1.3 * size + dy + radius], leaf
        )


def _with_grain(random: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Fine noise, as sensors, grass and walls have it."""
    tile = random.normal(0.0, 7.0, [512, 512]).astype(np.int16)
    rows, columns = -(-picture.height // 512), -(-picture.width // 512)
    grain = np.tile(tile, (rows, columns))[: picture.height, : picture.width, None]
    return Image.fromarray(np.clip(np.asarray(picture, np.int16) + grain, 0, 255).astype(np.uint8))


def _places(random: np.random.Generator, config: SignConfig, horizon: int) -> list[tuple[int, int]]:
    """Left and top of the sign and of its look-alikes, none over another."""
    side = config.sign_px
    found: list[tuple[int, int]] = []
    for _ in range(100 * (1 + config.look_alikes)):  # In a small photograph there may be no room for all of them.
        left = int(random.integers(0, config.width - side))
        top = int(random.integers(horizon // 2, config.height - 2 * side))
        if all(max(abs(left - x), abs(top - y)) > 2 * side for x, y in found):
            found.append((left, top))
        if len(found) > config.look_alikes:
            break
    return found


def _draw_sign(
    random: np.random.Generator, picture: Image.Image, place: tuple[int, int], side: int, number: str
) -> None:
    """A red ring around a white disc with a number, at four times its size and then reduced, on a pole."""
    big = Image.new("RGBA", (4 * side, 4 * side))
    pen, rim = ImageDraw.Draw(big), 4 * side * 0.13
    pen.ellipse([0, 0, 4 * side - 1, 4 * side - 1], fill=RED)
    pen.ellipse([rim, rim, 4 * side - 1 - rim, 4 * side - 1 - rim], fill=WHITE)
    font = ImageFont.truetype(_font_file(), int(4 * side * 0.44))
    pen.text((2 * side, 2 * side), number, font=font, fill=BLACK, anchor="mm")
    big = big.rotate(random.uniform(-6, 6), Image.Resampling.BICUBIC)
    _paste(random, picture, big, place, side)


def _draw_look_alike(random: np.random.Generator, picture: Image.Image, place: tuple[int, int], side: int) -> None:
    big = Image.new("RGBA", (4 * side, 4 * side))
    pen, colour = ImageDraw.Draw(big), OTHERS[random.integers(len(OTHERS))]
    (pen.ellipse if random.random() < 0.5 else pen.rectangle)([0, 0, 4 * side - 1, 4 * side - 1], fill=colour)
    pen.line([side, 2 * side, 3 * side, 2 * side], fill=WHITE, width=side // 2)
    _paste(random, picture, big, place, side)


def _paste(
    random: np.random.Generator, picture: Image.Image, big: Image.Image, place: tuple[int, int], side: int
) -> None:
    left, top = place
    pole = [left + side * 0.46, top + side * 0.9, left + side * 0.54, top + side * 3]
    ImageDraw.Draw(picture).rectangle(pole, fill=GREY)
    board = big.resize((side, side), Image.Resampling.LANCZOS)
    light = random.uniform(0.75, 1.05)
    shaded = Image.merge(
        "RGBA", [*(band.point(lambda v: min(int(v * light), 255)) for band in board.split()[:3]), board.split()[3]]
    )
    picture.paste(shaded, place, shaded)


def _font_file() -> str:
    import matplotlib

    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf")


@dataset_command(SignConfig, train=300, evaluation=0, test=0)
def main(output: str, config: SignConfig, counts: dict[str, int], overwrite: bool) -> Path:
    """Writes made photographs with a small sign in each. Goes on where it was stopped."""
    return write(output, config, counts, overwrite=overwrite)


if __name__ == "__main__":
    main()
