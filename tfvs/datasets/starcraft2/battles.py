"""Simulated battles: what stands where, and the pictures of it on the screen and on the minimap.

Both sides have up to 22 units of each of three kinds, of which a part survives; they stand in groups, close enough to
hide one another in part. Marines and marauders look alike on the minimap. Battle ``i`` of a split depends on the seed,
the split and ``i`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tfvs.config import Config, option
from tfvs.datasets.canvases import random_of
from tfvs.datasets.starcraft2.camera import CORNERS, magnification, project, to_screen
from tfvs.datasets.starcraft2.layout import MOST_MARINES, UNIT_COUNTS
from tfvs.datasets.starcraft2.sprites import DIRECTIONS, SHADES, explosion, sprite
from tfvs.datasets.starcraft2.terrain import TEXTURES, terrain
from tfvs.datasets.starcraft2.units import KINDS, NAMES

# Units of a kind at the beginning of a battle, as a share of the most there can be: tanks are fewer.
_SHARE = {"siegetank": 0.3}
_STARTING = ("marine", "marauder", "siegetank", "zergling", "baneling", "hydralisk")
# How often the marines have fallen, who are the first to.
_MARINES_FELL = 0.2
# Units keep this share of the sum of their radii between their middles, so that they overlap a little.
_APART = 0.9
_STEPS_APART = 12
_MARGIN = 0.05  # no unit stands nearer to the edge of what the screen shows, in parts of the map
_TERRAN_DOT, _ZERG_DOT, _FRAME = (70, 140, 255), (235, 60, 50), (225, 225, 225)


@dataclass(frozen=True)
class BattleConfig(Config):
    """What the battles look like."""

    side: int = option(1024, "Side of the screens, pixels.", at_least=128, at_most=8192)
    minimap_px: int = option(64, "Side of the minimaps, pixels.", at_least=16, at_most=1024)
    most_units: int = option(
        MOST_MARINES, "Most units of a kind on each side; a third of it for tanks.", at_least=1, at_most=MOST_MARINES
    )
    most_explosions: int = option(10, "Explosions in a battle, at most.", at_least=0)
    minimap_noise: float = option(6.0, "Standard deviation of the minimap's noise, grey levels of 255.", at_least=0)
    seed: int = option(0, "Of everything drawn.", at_least=0)


class Units(NamedTuple):
    """The units of a battle, those further away first.

    Attributes:
      kinds: ``[N]`` int, indices into :data:`tfvs.datasets.starcraft2.units.NAMES`.
      ground: ``[N, 2]`` x and y on the map, in [0, 1].
      screen: ``[N, 2]`` x and y on the screen, in [0, 1].
      radii: ``[N]`` on the screen, in parts of its side.
    """

    kinds: np.ndarray
    ground: np.ndarray
    screen: np.ndarray
    radii: np.ndarray

    def of_kind(self, name: str) -> np.ndarray:
        """``[N]`` bool."""
        return self.kinds == NAMES.index(name)


class Battle(NamedTuple):
    """A battle and its pictures.

    Attributes:
      screen: ``[side, side, 3]`` uint8.
      minimap: ``[minimap_px, minimap_px, 3]`` uint8.
      units: What stands where.
      values: Values of the columns of the authors' CSV that name no image.
    """

    screen: np.ndarray
    minimap: np.ndarray
    units: Units
    values: dict[str, int]

    @property
    def label(self) -> int:
        """The number of marines."""
        return self.values[UNIT_COUNTS[0]]


def draw_units(config: BattleConfig, split: str, index: int) -> tuple[Units, dict[str, int]]:
    """What stands where, without the pictures; and the values of the CSV."""
    return _draw_units(config, random_of(config.seed, split, index))


def make_battle(config: BattleConfig, split: str, index: int) -> Battle:
    """One battle.

    Args:
      config: Configuration of the battles.
      split: ``"train"``, ``"eval"`` or ``"test"``: randomness of its own.
      index: Index of the battle in its split.
    """
    random = random_of(config.seed, split, index)
    units, values = _draw_units(config, random)
    ground = terrain(config.side, config.minimap_px, config.seed, int(random.integers(TEXTURES)))
    mirrored, tint = random.random() < 0.5, random.uniform(0.85, 1.1, 3).astype(np.float32)
    screen = _tinted(ground.screen[:, ::-1] if mirrored else ground.screen, tint)
    minimap = (ground.minimap[:, ::-1] if mirrored else ground.minimap) * tint
    return Battle(
        _draw_screen(config, screen, units, random), _draw_minimap(config, minimap, units, random), units, values
    )


def _draw_units(config: BattleConfig, random: np.random.Generator) -> tuple[Units, dict[str, int]]:
    start = {name: int(random.integers(round(config.most_units * _SHARE.get(name, 1)) + 1)) for name in _STARTING}
    survival = random.random(2)
    left = {name: int(random.binomial(count, survival[int(KINDS[name].terran)])) for name, count in start.items()}
    if random.random() < _MARINES_FELL:
        left["marine"] = 0
    lost = {side: sum(start[name] - left[name] for name in _STARTING if KINDS[name].terran == side) for side in (0, 1)}
    left["siegetanksieged"] = int(random.binomial(left["siegetank"], 0.5))
    left["siegetank"] -= left["siegetanksieged"]
    values = {column: left[column.removesuffix("_count")] for column in UNIT_COUNTS}
    values |= {f"{name}_present": int(left[name] > 0) for name in ("zergling", "baneling", "hydralisk")}
    values |= {"zerg_lost": lost[0], "terran_lost": lost[1]}
    kinds = np.repeat(np.arange(len(NAMES)), [left[name] for name in NAMES])
    sizes = np.array([KINDS[NAMES[kind]].radius / 1000 for kind in kinds]) * random.uniform(0.88, 1.12, len(kinds))
    ground = _deploy(kinds, sizes, random)
    order = np.argsort(ground[:, 1], kind="stable")
    ground, kinds = ground[order], kinds[order]
    radii = sizes[order] * magnification(ground)
    return Units(kinds, ground, project(to_screen(), ground), radii), values


def _deploy(kinds: np.ndarray, sizes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """``[N, 2]`` places on the map: the Terran in one to three groups, the Zerg around and before them."""
    terran = np.array([KINDS[NAMES[kind]].terran for kind in kinds], bool)
    middle = random.uniform(0.32, 0.68, 2)
    angle = random.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(angle), np.sin(angle)])
    centres = middle + random.normal(0, 0.11, (random.integers(1, 4), 2))
    spread = 0.03 + 0.008 * np.sqrt(len(kinds))
    places = random.normal(0, spread, (len(kinds), 2))
    places += centres[random.integers(len(centres), size=len(kinds))]
    places[~terran] += towards * random.uniform(0.04, 0.2) + random.normal(0, 0.05, (np.count_nonzero(~terran), 2))
    wanted = _APART * (sizes[:, np.newaxis] + sizes)
    for _ in range(_STEPS_APART):
        between = places[:, np.newaxis] - places
        distance = np.hypot(between[..., 0], between[..., 1]) + 1e-6
        push = np.clip(wanted - distance, 0, None) / distance
        np.fill_diagonal(push, 0)
        places += 0.5 * (between * push[..., np.newaxis]).sum(1)
        places = _within_view(places)
    return places


def _within_view(places: np.ndarray) -> np.ndarray:
    """Moves what the screen does not show, or would cut, to where it does."""
    (left, top), _, (_, bottom), (low_left, _) = CORNERS
    y = np.clip(places[:, 1], top + _MARGIN, bottom - _MARGIN)
    edge = left + (low_left - left) * (y - top) / (bottom - top) + _MARGIN
    return np.stack([np.clip(places[:, 0], edge, 1 - edge), y], 1)


def _tinted(pixels: np.ndarray, tint: np.ndarray) -> Image.Image:
    """Each channel times a factor, by a table."""
    tables = [np.clip(np.arange(256) * factor, 0, 255).astype(np.uint8) for factor in tint]
    return Image.fromarray(np.ascontiguousarray(pixels)).point([int(v) for table in tables for v in table])


def _draw_screen(config: BattleConfig, screen: Image.Image, units: Units, random: np.random.Generator) -> np.ndarray:
    count, side = len(units.kinds), config.side
    directions, shades = random.integers(DIRECTIONS, size=count), random.integers(SHADES, size=count)
    health = np.where(random.random(count) < 0.6, random.random(count), 1.0)
    draw = ImageDraw.Draw(screen)
    for kind, (x, y), radius, direction, shade in zip(
        units.kinds.tolist(), units.screen * side, units.radii * side, directions.tolist(), shades.tolist(), strict=True
    ):
        picture = sprite(NAMES[kind], max(2, round(radius)), direction, shade)
        _paste(screen, picture, x, y)
    for (x, y), radius, share in zip(units.screen * side, units.radii * side, health.tolist(), strict=True):
        if share < 1:
            _draw_health(draw, x, y - 1.25 * radius, radius, share)
    for _ in range(int(random.integers(config.most_explosions + 1))):
        near = units.screen[random.integers(count)] if count else random.random(2)
        x, y = (near + random.normal(0, 0.02, 2)) * side
        radius = max(2, round(random.choice((8, 12, 16, 24)) * side / 1024))
        _paste(screen, explosion(radius, int(random.integers(8))), x, y)
    return np.asarray(screen)


def _paste(screen: Image.Image, picture: Image.Image, x: float, y: float) -> None:
    screen.paste(picture, (round(x - picture.width / 2), round(y - picture.height / 2)), picture)


def _draw_health(draw: Any, x: float, y: float, radius: float, share: float) -> None:
    """A bar of green, yellow or red on black above a unit."""
    height = max(1, round(radius / 6))
    left, right, top = round(x - 0.8 * radius), round(x + 0.8 * radius), round(y - height)
    colour = (60, 220, 60) if share > 0.6 else (230, 210, 50) if share > 0.3 else (220, 50, 40)
    draw.rectangle((left, top, right, top + height), fill=(10, 10, 10))
    draw.rectangle((left, top, left + round(share * (right - left)), top + height), fill=colour)


def _draw_minimap(config: BattleConfig, ground: np.ndarray, units: Units, random: np.random.Generator) -> np.ndarray:
    """Terrain, the frame of what the screen shows, and a dot per unit in the colour of its side; all with noise."""
    side = config.minimap_px
    picture = Image.fromarray(np.clip(0.7 * ground, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.polygon([(x * (side - 1), y * (side - 1)) for x, y in CORNERS], outline=_FRAME)
    for kind, (x, y) in zip(units.kinds.tolist(), units.ground * side, strict=True):
        found = KINDS[NAMES[kind]]
        size = max(1, round(found.dot_px * side / 64))
        left, top = int(x - (size - 1) / 2), int(y - (size - 1) / 2)
        draw.rectangle((left, top, left + size - 1, top + size - 1), fill=_TERRAN_DOT if found.terran else _ZERG_DOT)
    noise = random.normal(0, config.minimap_noise, (side, side, 3))
    return np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
