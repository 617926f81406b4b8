"""The ground of simulated battles: a few textures made of noise, seen at a slant and on the minimap."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image

from tfvs.datasets.starcraft2.camera import CORNERS, homography

TEXTURES = 12
# A texture is made at this side at most, and enlarged for larger screens.
LARGEST_PX = 2048
_PALETTES = (
    ((92, 78, 62), (126, 108, 84), (74, 70, 64)),
    ((84, 92, 70), (112, 112, 84), (66, 72, 64)),
    ((96, 96, 102), (128, 124, 122), (70, 72, 80)),
    ((108, 84, 66), (138, 116, 92), (84, 66, 58)),
)


class Terrain(NamedTuple):
    """One texture.

    Attributes:
      screen: ``[S, S, 3]`` uint8, as the camera sees it.
      minimap: ``[m, m, 3]`` float32, from above.
    """

    screen: np.ndarray
    minimap: np.ndarray


@functools.lru_cache(maxsize=2 * TEXTURES)
def terrain(side: int, minimap_px: int, seed: int, number: int) -> Terrain:
    """A texture of a data set.

    Args:
      side: Side of the screen, pixels.
      minimap_px: Side of the minimap, pixels.
      seed: Seed of the data set.
      number: 0 to ``TEXTURES``.
    """
    random = np.random.default_rng((seed, 3, number))  # the splits are 0, 1 and 2
    drawn = min(side, LARGEST_PX)
    ground = _ground(drawn, random)
    picture = Image.fromarray(ground)
    corners = tuple((x * drawn, y * drawn) for x, y in CORNERS)
    matrix = homography(((0.0, 0.0), (drawn, 0.0), (drawn, drawn), (0.0, drawn)), corners)
    seen = picture.transform(
        (drawn, drawn), Image.Transform.PERSPECTIVE, tuple(matrix.ravel()[:8]), Image.Resampling.BILINEAR
    )
    if side > drawn:
        seen = seen.resize((side, side), Image.Resampling.BICUBIC)
    small = picture.resize((minimap_px, minimap_px), Image.Resampling.BOX)
    return Terrain(np.asarray(seen), np.asarray(small, np.float32))


def _ground(side: int, random: np.random.Generator) -> np.ndarray:
    """``[side, side, 3]`` uint8, from above: three colours mixed by clouds, with grains."""
    palette = np.array(_PALETTES[random.integers(len(_PALETTES))], np.float32)
    share = _clouds(side, (4, 9, 17, 65, 257), random)[..., np.newaxis]
    patches = np.clip(3 * _clouds(side, (3, 7, 33), random)[..., np.newaxis] - 1, 0, 1)
    colours = (1 - share) * palette[0] + share * palette[1]
    colours = (1 - patches) * colours + patches * palette[2]
    grains = random.normal(0, 3, (side, side, 1)).astype(np.float32)
    return np.clip(colours + grains, 0, 255).astype(np.uint8)


def _clouds(side: int, grids: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """``[side, side]`` float32 in [0, 1]: smooth noise of several finenesses."""
    total = np.zeros([side, side], np.float32)
    for number, grid in enumerate(grids):
        coarse = Image.fromarray(random.random((grid, grid)).astype(np.float32))
        total += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) / (1.6**number)
    total -= total.min()
    return total / total.max()
