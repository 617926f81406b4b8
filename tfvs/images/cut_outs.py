"""Things cut out of images, changed a little, and pasted into others: more images of classes of which there are few.

A scene with pastes is never made as a whole: pastes are small pictures with boxes, which are laid over the proxy here
and over the crops where they are read (:mod:`tfvs.images.pastes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from tfvs.config import Config, option, require

OUTLINES = ("rectangle", "ellipse", "diamond", "triangle", "triangle_down")


class CutOut(NamedTuple):
    """Something cut out of an image.

    Attributes:
      pixels: ``[h, w, 4]`` uint8, red, green, blue and opacity.
      label: The class of an image that shows it; the class of "nothing" for what only looks alike.
      mirrorable: Whether its mirror image is of the same class: false of texts, numbers and arrows.
      kind: What it is within its class: rare kinds are drawn more often than there are cut-outs of them.
    """

    pixels: np.ndarray
    label: int
    mirrorable: bool = False
    kind: int = 0

    @property
    def side_px(self) -> int:
        """Longer side, pixels."""
        return max(self.pixels.shape[:2])


class Paste(NamedTuple):
    """A cut-out in its place.

    Attributes:
      pixels: ``[h, w, 4]`` uint8.
      top: Row of its first pixel in the image.
      left: Column of its first pixel in the image.
      label: Label of its cut-out.
    """

    pixels: np.ndarray
    top: int
    left: int
    label: int


@dataclass(frozen=True)
class PasteConfig(Config):
    """How cut-outs are changed and where they go."""

    max_pastes: int = option(4, "Most pastes in one image; more that are drawn are left out.", at_least=1)
    canvas_px: int = option(136, "Side of the square that holds a paste, pixels; larger ones are reduced to it.")
    min_px: float = option(15.0, "Smallest longer side of a paste, pixels.", above=0)
    max_enlargement: float = option(1.4, "Largest factor by which a cut-out is enlarged.", above=0)
    second: float = option(0.25, "Probability of a second paste of the same class.", at_least=0, at_most=1)
    others: float = option(0.4, "Probability of each of two pastes of no class.", at_least=0, at_most=1)
    mirror: float = option(
        0.3,
        "Probability that the background is mirrored; pastes are only where their cut-out may be.",
        at_least=0,
        at_most=1,
    )
    place_noise_px: float = option(
        30.0, "Standard deviation of the centre around a place of the data's own, pixels.", at_least=0
    )
    mirror_place: float = option(
        0.3, "Probability that such a place is taken from the other side of the image.", at_least=0, at_most=1
    )
    size: tuple[float, float] = option((0.85, 1.2), "Factor on the size at that place, from and to.", above=0)
    aspect: tuple[float, float] = option((0.92, 1.06), "Factor on each side, from and to.", above=0)
    angle: float = option(3.5, "Standard deviation of a rotation, degrees.", at_least=0)
    blur_px: float = option(
        0.9,
        "Largest standard deviation of a Gaussian blur, pixels; two fifths of the pastes are not blurred.",
        at_least=0,
    )
    edge_px: float = option(0.6, "Standard deviation of the blur of the outline, pixels.", at_least=0)
    brightness: tuple[float, float] = option((0.6, 1.4), "Factor on the brightness of a paste, from and to.", above=0)
    tint: tuple[float, float] = option((0.93, 1.07), "Factor on each colour of a paste, from and to.", above=0)
    light: tuple[float, float] = option(
        (0.8, 1.25),
        "Factor on the whole proxy, from and to; crops keep theirs, since they can be standardised.",
        above=0,
    )
    offset: float = option(8.0, "Standard deviation of what is added to all pixels, grey levels.", at_least=0)

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
          ConfigError: A value that cannot work.
        """
        super().__post_init__()
        require(
            self.canvas_px >= self.min_px,
            "Pastes do not fit the canvas",
            expected="min_px <= canvas_px",
            received=(self.min_px, self.canvas_px),
        )
        for name in ("size", "aspect", "brightness", "tint", "light"):
            low, high = getattr(self, name)
            require(low <= high, f"{name} is no range", expected="from <= to", received=(low, high))


class PasteBank:
    """What can be pasted, and where such things are.

    Args:
      cut_outs: Cut-outs of every class but the one of "nothing", and of that one where there is something that looks
        alike.
      places: ``[N, 3]`` float: row and column of a centre in [0, 1], longer side in pixels.
      none_class: The class of images without any of the others' things.

    Raises:
      ConfigError: No places, or cut-outs of the class of "nothing" alone.
    """

    def __init__(self, cut_outs: Sequence[CutOut], places: np.ndarray, none_class: int = 0) -> None:
        self.none_class, self.places = none_class, np.asarray(places, np.float64).reshape(-1, 3)
        self.by_class: dict[int, list[CutOut]] = {}
        for cut in cut_outs:
            self.by_class.setdefault(cut.label, []).append(cut)
        self.classes = sorted(set(self.by_class) - {none_class})
        self._weights = {label: _weights([cut.kind for cut in cuts]) for label, cuts in self.by_class.items()}
        self._sides_px = {label: np.array([cut.side_px for cut in cuts]) for label, cuts in self.by_class.items()}
        require(bool(self.classes), "Nothing can be pasted", expected="a cut-out of a class", received=len(cut_outs))
        require(len(self.places) > 0, "There are no places to paste at", expected="at least one", received=0)

    def draw(self, random: np.random.Generator, label: int, side_px: float = 0.0) -> CutOut:
        """A cut-out of a class: a kind in proportion to the square root of its number, then one of it evenly.

        Args:
          random: What is drawn from.
          label: The class.
          side_px: Least longer side of those drawn from, where the class has any so large: enlarged, smaller ones would
            be blurred.
        """
        large = self._sides_px[label] >= side_px
        weights = self._weights[label] * (large if large.any() else 1.0)
        return self.by_class[label][random.choice(len(weights), p=weights / weights.sum())]


def _weights(kinds: Sequence[int]) -> np.ndarray:
    """How often each cut-out of a class is drawn, relative to the others."""
    _, inverse, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return counts[inverse] ** -0.5


def cut_out(
    image: np.ndarray,
    box: tuple[int, int, int, int],
    label: int,
    *,
    outline: str = "rectangle",
    mirrorable: bool = False,
    kind: int = 0,
) -> CutOut:
    """Cuts a thing out of an image.

    Args:
      image: ``[H, W, 3]`` uint8.
      box: First row and column, and the ones behind the last, pixels.
      label: See :class:`CutOut`.
      outline: One of ``OUTLINES``; what is opaque within the box.
      mirrorable: See :class:`CutOut`.
      kind: See :class:`CutOut`.

    Raises:
      ConfigError: An unknown outline, or a box without pixels in the image.
    """
    require(outline in OUTLINES, "Unknown outline", expected=OUTLINES, received=repr(outline))
    top, left, bottom, right = box
    rgb = image[max(top, 0) : bottom, max(left, 0) : right]
    require(rgb.size > 0, "The box has no pixels", expected=f"a box in {image.shape[:2]}", received=box)
    down, across = np.meshgrid(*(np.linspace(-1, 1, n) for n in rgb.shape[:2]), indexing="ij")
    opaque = {
        "rectangle": np.ones_like(down, bool),
        "ellipse": down**2 + across**2 <= 0.94,
        "diamond": abs(down) + abs(across) <= 0.97,
        "triangle": abs(across) * 1.02 <= (1 + down) / 2,
        "triangle_down": abs(across) * 1.02 <= (1 - down) / 2,
    }[outline]
    return CutOut(np.dstack([rgb, np.where(opaque, 255, 0).astype(np.uint8)]), label, mirrorable, kind)


def draw_pastes(
    random: np.random.Generator, bank: PasteBank, config: PasteConfig, image_size: tuple[int, int]
) -> list[Paste]:
    """One or two pastes of a class drawn evenly, then some of no class.

    Args:
      random: What is drawn from.
      bank: Cut-outs and places.
      config: How they are changed.
      image_size: Height and width, pixels.

    Returns:
      At most ``max_pastes``, those of the class first.
    """
    label = bank.classes[random.integers(len(bank.classes))]
    labels = [label] * (1 + int(random.random() < config.second))
    if bank.none_class in bank.by_class:
        labels += [bank.none_class] * int((random.random(2) < config.others).sum())
    pastes = []
    for wanted in labels[: config.max_pastes]:
        y, x, size = bank.places[random.integers(len(bank.places))]
        centre = np.array([y * image_size[0], x * image_size[1]]) + random.normal(0, config.place_noise_px, 2)
        if random.random() < config.mirror_place:
            centre[1] = image_size[1] - centre[1]
        size *= random.uniform(*config.size)
        pixels = vary(random, bank.draw(random, wanted, size / config.max_enlargement), size, config)
        rows, columns = pixels.shape[:2]
        top = int(np.clip(centre[0] - rows / 2, 0, max(image_size[0] - rows, 0)))
        left = int(np.clip(centre[1] - columns / 2, 0, max(image_size[1] - columns, 0)))
        pastes.append(Paste(pixels, top, left, wanted))
    return pastes


def vary(random: np.random.Generator, cut: CutOut, size_px: float, config: PasteConfig) -> np.ndarray:
    """A cut-out at about this size, with other sides, angle, sharpness and light, and soft edges.

    Args:
      random: What is drawn from.
      cut: The cut-out.
      size_px: Longer side.
      config: How much cut-outs are changed.

    Returns:
      ``[h, w, 4]`` uint8.
    """
    image = Image.fromarray(cut.pixels)
    if cut.mirrorable and random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    size = np.clip(size_px, config.min_px, max(config.max_enlargement * cut.side_px, config.min_px))
    sides = (size / cut.side_px * side * random.uniform(*config.aspect) for side in image.size)
    wide, high = (int(np.clip(round(side), 4, config.canvas_px)) for side in sides)
    angle = random.normal(0, config.angle)
    rgb = image.convert("RGB").resize((wide, high), Image.Resampling.BICUBIC)
    rgb = rgb.rotate(angle, Image.Resampling.BICUBIC)
    mask = image.getchannel("A").resize((wide, high), Image.Resampling.BILINEAR)
    mask = mask.rotate(angle, Image.Resampling.BILINEAR)
    blur = random.uniform(0, config.blur_px) * (random.random() < 0.6)
    light = random.uniform(*config.brightness) * random.uniform(*config.tint, 3)
    pixels = np.asarray(rgb.filter(ImageFilter.GaussianBlur(blur)), np.float32) * light
    pixels = np.clip(pixels + random.normal(0, config.offset), 0, 255)
    opacity = np.asarray(mask.filter(ImageFilter.GaussianBlur(config.edge_px)))
    return np.dstack([pixels.astype(np.uint8), opacity])


def lay_over(pixels: np.ndarray, image_size: tuple[int, int], pastes: Sequence[Paste]) -> np.ndarray:
    """A small picture of the image with the pastes in it.

    Args:
      pixels: ``[h, w, C]`` uint8, all of the image at some size: the proxy. With one channel, pastes become grey.
      image_size: Height and width of the image, pixels.
      pastes: In the order in which they lie on each other.

    Returns:
      ``[h, w, C]`` uint8.
    """
    result = np.array(pixels)
    for paste in pastes:
        colours = paste.pixels[..., :3].astype(np.float32)
        if pixels.shape[2] == 1:
            colours = colours @ np.array([[0.299], [0.587], [0.114]], np.float32)
        opacity = paste.pixels[..., 3:].astype(np.float32) / 255.0
        layer = np.concatenate([colours * opacity, opacity], axis=2)
        top, rows = _footprint(paste.top, layer.shape[0], image_size[0], pixels.shape[0])
        left, columns = _footprint(paste.left, layer.shape[1], image_size[1], pixels.shape[1])
        layer = np.einsum("rwc,sw->rsc", np.tensordot(rows, layer, 1), columns)
        part = result[top : top + layer.shape[0], left : left + layer.shape[1]]
        mixed = part * (1.0 - layer[..., -1:]) + layer[..., :-1]
        part[:] = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
    return result


def _footprint(start: int, length: int, image_px: int, small_px: int) -> tuple[int, np.ndarray]:
    """First pixel of the small picture under a paste, and ``[pixels, length]`` shares of each of the paste's pixels."""
    ratio = small_px / image_px
    first = max(int(np.floor(start * ratio)), 0)
    last = min(int(np.ceil((start + length) * ratio)), small_px)
    edges = np.arange(first, last + 1) / ratio - start
    low = np.maximum(edges[:-1, np.newaxis], np.arange(length))
    high = np.minimum(edges[1:, np.newaxis], np.arange(length) + 1)
    return first, (np.maximum(high - low, 0.0) * ratio).astype(np.float32)
