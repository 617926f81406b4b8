"""Recording battles from the game itself, through pysc2 (``tfvs[starcraft]``), for the reader ``starcraft2``.

Each battle is set up by the game's debugging commands in the middle of the map: units of six kinds in random numbers,
the Terran against the Zerg. Pictures are taken until one side has fallen; the counts are those of the raw observation.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from tfvs.config import Config, option
from tfvs.datasets.starcraft2.layout import LIST, MINIMAP, MOST_MARINES, SCREEN, UNIT_COUNTS, to_csv
from tfvs.datasets.writing import replace_file
from tfvs.errors import ConfigError, DataError, ResourceError, one_sentence
from tfvs.flags import flags_of, from_flags
from tfvs.images.proxy import encode_png

# The game's numbers of the kinds of units (pysc2.lib.units).
TYPES = {
    "marine": 48,
    "marauder": 51,
    "siegetank": 33,
    "siegetanksieged": 32,
    "zergling": 105,
    "baneling": 9,
    "hydralisk": 107,
}
TERRAN = ("marine", "marauder", "siegetank")
ZERG = ("zergling", "baneling", "hydralisk")
TANKS_SHARE = 0.3  # there are fewer tanks than others
ATTACK = 3674  # the game's number of the order to walk somewhere and attack what is met
SELF, ENEMY = 1, 4  # the game's numbers of alliances
CONFIG, BATTLE = "recording.json", "battle.json"
SPREAD = 6.0  # between the two sides' middles and the middle of the map, in the game's units of length
Step = Callable[[list[Any]], Any]


@dataclass(frozen=True)
class RecordConfig(Config):
    """What is recorded."""

    map: str = option(help="Name of a map that pysc2 knows, such as Flat64.")
    screen_px: int = option(1024, "Side of the screens, pixels.", at_least=64, at_most=8192)
    minimap_px: int = option(64, "Side of the minimaps, pixels.", at_least=16, at_most=1024)
    most_units: int = option(MOST_MARINES, "Most units of a kind on each side.", at_least=1, at_most=200)
    pictures: int = option(20, "Most pictures of a battle.", at_least=1)
    steps_between: int = option(16, "Steps of the game between two pictures; it makes 22.4 a second.", at_least=1)
    seed: int = option(0, "Seed of the numbers and places of the units, and of the game.", at_least=0)


def record(output: str | os.PathLike[str], config: RecordConfig, episodes: int) -> Path:
    """Records battles; goes on where it was stopped.

    Args:
      output: Folder.
      config: What is recorded.
      episodes: Battles, those that are there already included.

    Returns:
      Path of the list.

    Raises:
      ConfigError: pysc2 does not know the map.
      DataError: The folder holds recordings of another configuration.
      ResourceError: pysc2 or the game is not installed.
    """
    folder = Path(output)
    missing = [number for number in range(episodes) if not (_battle_folder(folder, number) / BATTLE).exists()]
    _check_folder(folder, config)
    if missing:
        environment = _launch(config)
        try:
            # pysc2 has no public way to the game's debugging commands.
            record_battles(folder, config, missing, environment, environment._controllers[0].debug)
        finally:
            environment.close()
            list_battles(folder)
    return list_battles(folder)


def record_battles(
    folder: Path, config: RecordConfig, numbers: list[int], environment: Any, debug: Callable[[list[Any]], Any]
) -> None:
    """Records some battles in a running environment.

    Args:
      folder: Where each gets a folder of its own, complete when ``battle.json`` is there.
      config: What is recorded.
      numbers: Which battles; the seed and its number decide what units a battle has.
      environment: ``pysc2.env.sc2_env.SC2Env`` whose observations are the game's own messages.
      debug: Sends debugging commands to the game.
    """
    (timestep,) = environment.reset()
    size = environment.game_info[0].start_raw.map_size
    middle = np.array([size.x, size.y]) / 2
    for number in tqdm(numbers, unit="battle", file=sys.stderr, desc=folder.name):
        if timestep.last():
            (timestep,) = environment.reset()
        timestep = _record_battle(folder, config, number, environment, debug, timestep, middle)


def list_battles(folder: Path) -> Path:
    """Writes ``predictions.csv`` of all battles that are complete, in order; returns its path."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob(f"*/{BATTLE}")):
        rows += json.loads(path.read_text())
    replace_file(folder / LIST, to_csv(rows).encode())
    return folder / LIST


def counts_in(observation: Any) -> tuple[Counter[str], Counter[str]]:
    """How many units of each kind the Terran and the Zerg have, from the game's raw observation.

    Args:
      observation: ``ResponseObservation``, seen by the Terran.
    """
    names = {number: name for name, number in TYPES.items()}
    sides: dict[int, Counter[str]] = {SELF: Counter(), ENEMY: Counter()}
    for unit in observation.observation.raw_data.units:
        if unit.alliance in sides and unit.unit_type in names:
            sides[unit.alliance][names[unit.unit_type]] += 1
    return sides[SELF], sides[ENEMY]


def _record_battle(
    folder: Path,
    config: RecordConfig,
    number: int,
    environment: Any,
    debug: Callable[[list[Any]], Any],
    timestep: Any,
    middle: np.ndarray,
) -> Any:
    from s2clientprotocol import sc2api_pb2 as messages

    random = np.random.default_rng((config.seed, number))
    start = {name: _draw_count(name, config.most_units, random) for name in TYPES if name in (*TERRAN, *ZERG)}
    angle = random.uniform(0, 2 * np.pi)
    towards = SPREAD * np.array([np.cos(angle), np.sin(angle)])
    debug([*_removals(timestep.observation), *_creations(start, middle, towards)])
    target = _battle_folder(folder, number)
    rows: list[dict[str, Any]] = []
    action: Any = _look_at(middle)
    for picture in range(config.pictures):
        (timestep,) = environment.step([action])
        terran, zerg = counts_in(timestep.observation)
        names = {column: f"{target.name}/{column}/{picture:04d}.png" for column in (SCREEN, MINIMAP)}
        data = timestep.observation.observation.render_data
        for column, plane in ((SCREEN, data.map), (MINIMAP, data.minimap)):
            (folder / names[column]).parent.mkdir(parents=True, exist_ok=True)
            replace_file(folder / names[column], encode_png(_pixels(plane)))
        rows.append({**names, **_values(start, terran, zerg)})
        if timestep.last() or not terran.total() or not zerg.total():
            break
        action = messages.Action()
        if picture == 0:
            action = _attack(timestep.observation, middle + towards)
    replace_file(target / BATTLE, (json.dumps(rows) + "\n").encode())
    return timestep


def _draw_count(name: str, most: int, random: np.random.Generator) -> int:
    return int(random.integers(round(most * (TANKS_SHARE if name == "siegetank" else 1)) + 1))


def _values(start: Mapping[str, int], terran: Counter[str], zerg: Counter[str]) -> dict[str, int]:
    """The values of a row that name no image."""
    values = {column: terran[column.removesuffix("_count")] for column in UNIT_COUNTS}
    values |= {f"{name}_present": int(zerg[name] > 0) for name in ZERG}
    lost = {side: sum(start[name] for name in names) for side, names in (("terran", TERRAN), ("zerg", ZERG))}
    return {**values, "zerg_lost": lost["zerg"] - zerg.total(), "terran_lost": lost["terran"] - terran.total()}


def _removals(observation: Any) -> Iterator[Any]:
    """A command that removes what is left of the battle before."""
    from s2clientprotocol import debug_pb2

    units = observation.observation.raw_data.units
    tags = [unit.tag for unit in units if unit.unit_type in TYPES.values()]
    if tags:
        yield debug_pb2.DebugCommand(kill_unit=debug_pb2.DebugKillUnit(tag=tags))


def _creations(start: Mapping[str, int], middle: np.ndarray, towards: np.ndarray) -> Iterator[Any]:
    """Commands that put the units in place; the first player is the Terran."""
    from s2clientprotocol import common_pb2, debug_pb2

    for name, count in start.items():
        if count:
            owner, (x, y) = (1, middle - towards) if name in TERRAN else (2, middle + towards)
            place = common_pb2.Point2D(x=x, y=y)
            unit = debug_pb2.DebugCreateUnit(unit_type=TYPES[name], owner=owner, pos=place, quantity=count)
            yield debug_pb2.DebugCommand(create_unit=unit)


def _look_at(place: np.ndarray) -> Any:
    """The action that moves the camera."""
    from s2clientprotocol import common_pb2, raw_pb2
    from s2clientprotocol import sc2api_pb2 as messages

    move = raw_pb2.ActionRawCameraMove(center_world_space=common_pb2.Point(x=place[0], y=place[1]))
    return messages.Action(action_raw=raw_pb2.ActionRaw(camera_move=move))


def _attack(observation: Any, place: np.ndarray) -> Any:
    """The action that sends the Terran there."""
    from s2clientprotocol import common_pb2, raw_pb2
    from s2clientprotocol import sc2api_pb2 as messages

    own = {TYPES[name] for name in TERRAN}
    units = observation.observation.raw_data.units
    order = raw_pb2.ActionRawUnitCommand(
        ability_id=ATTACK,
        target_world_space_pos=common_pb2.Point2D(x=place[0], y=place[1]),
        unit_tags=[unit.tag for unit in units if unit.alliance == SELF and unit.unit_type in own],
    )
    return messages.Action(action_raw=raw_pb2.ActionRaw(unit_command=order))


def _pixels(plane: Any) -> np.ndarray:
    """``[H, W, 3]`` uint8 of one of the game's pictures."""
    if plane.bits_per_pixel != 24:
        raise DataError("The game sends no RGB pictures", expected="24 bits per pixel", received=plane.bits_per_pixel)
    return np.frombuffer(plane.data, np.uint8).reshape(plane.size.y, plane.size.x, 3)


def _launch(config: RecordConfig) -> Any:
    """The game, with the agent as the Terran and the easiest built-in player as the Zerg."""
    try:
        from absl import flags
        from pysc2.env import sc2_env
        from pysc2.lib.sc_process import SC2LaunchError
        from pysc2.maps.lib import NoMapError
        from s2clientprotocol import sc2api_pb2 as messages
    except ImportError as error:
        raise ResourceError(
            "Battles are recorded through pysc2, which is not installed", mend="pip install 'tfvs[starcraft]'"
        ) from error
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])
    interface = messages.InterfaceOptions(raw=True, score=True)
    interface.render.resolution.x = interface.render.resolution.y = config.screen_px
    interface.render.minimap_resolution.x = interface.render.minimap_resolution.y = config.minimap_px
    players = [
        sc2_env.Agent(sc2_env.Race.terran, "tfvs"),
        sc2_env.Bot(sc2_env.Race.zerg, sc2_env.Difficulty.very_easy),
    ]
    try:
        return sc2_env.SC2Env(
            map_name=config.map,
            players=players,
            agent_interface_format=interface,
            step_mul=config.steps_between,
            random_seed=config.seed,
            disable_fog=True,
        )
    except NoMapError as error:
        raise ConfigError("pysc2 does not know the map", expected="such as Flat64", received=config.map) from error
    except (SC2LaunchError, OSError) as error:  # pysc2 lists the game's folder before it looks whether it is there
        raise ResourceError(
            "StarCraft II cannot be started",
            received=error,
            mend="Install the game, which is free for Linux at https://github.com/Blizzard/s2client-proto, with its "
            "maps, and set SC2PATH to it; or make battles with the command simulate",
        ) from error


def _check_folder(folder: Path, config: RecordConfig) -> None:
    path = folder / CONFIG
    if path.exists() and json.loads(path.read_text()) != config.to_dict():
        raise DataError(
            "The folder holds recordings of another configuration",
            expected=config.to_dict(),
            received=path.read_text(),
            mend="Choose another folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, config.to_json().encode())


def _battle_folder(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}"


@click.command("record")
@click.option("--output", required=True, help="Folder of the recordings.")
@click.option("--episodes", required=True, type=click.IntRange(1), help="Battles.")
@flags_of(RecordConfig)
def record_command(output: str, episodes: int, **fields: Any) -> None:
    """Records battles of StarCraft II. Goes on where it was stopped."""
    with one_sentence():
        click.echo(record(output, from_flags(RecordConfig, fields), episodes))
