"""The recorder against pysc2's own mock environment, which needs no game."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("pysc2", reason="pysc2 is not installed here: make starcraft runs this where it is")

from pysc2.env import mock_sc2_env, sc2_env
from pysc2.lib import units as game_units
from pysc2.tests import dummy_observation
from s2clientprotocol import common_pb2, sc2api_pb2

from tfvs.datasets.starcraft2.__main__ import main
from tfvs.datasets.starcraft2.record import (
    ATTACK,
    CONFIG,
    ENEMY,
    SELF,
    TYPES,
    RecordConfig,
    _launch,
    counts_in,
    list_battles,
    record,
    record_battles,
)
from tfvs.errors import ConfigError, DataError, ResourceError
from tfvs.preparation.readers import make_reader
from tfvs.preparation.sources import Source

CONFIG_SMALL = RecordConfig(map="Flat64", screen_px=64, minimap_px=16, most_units=3, pictures=4)


def observation(marines: int, zerglings: int, grey: int) -> sc2api_pb2.ResponseObservation:
    """What the game would send: units of both sides and of none, and two pictures."""
    found = [(TYPES["marine"], SELF, 1)] * marines + [(TYPES["marauder"], SELF, 1)] * 2
    found += [(TYPES["zergling"], ENEMY, 2)] * zerglings + [(int(game_units.Neutral.LabBot), 3, 16)]
    listed = [
        dummy_observation.FeatureUnit(
            unit_type=kind,
            alliance=alliance,
            owner=owner,
            pos=common_pb2.Point(x=10, y=10, z=0),
            radius=1.0,
            health=5,
            health_max=5,
            is_on_screen=True,
        )
        for kind, alliance, owner in found
    ]
    message = dummy_observation.Builder({}).game_loop(1).feature_units(listed).build()
    for plane, side in ((message.observation.render_data.map, 64), (message.observation.render_data.minimap, 16)):
        plane.bits_per_pixel, plane.size.x, plane.size.y = 24, side, side
        plane.data = bytes([grey, grey // 2, 0]) * side**2
    return message


class Script(mock_sc2_env.SC2TestEnv):
    """pysc2's mock environment, which answers each step with the next of some observations, and keeps the actions."""

    def __init__(self, messages: list) -> None:
        super().__init__(
            players=[sc2_env.Agent(sc2_env.Race.terran), sc2_env.Bot(sc2_env.Race.zerg, sc2_env.Difficulty.easy)],
            agent_interface_format=sc2api_pb2.InterfaceOptions(raw=True),
        )
        self._messages, self.actions = messages, []

    def step(self, actions, step_mul=None):
        self.actions += actions
        at = min(len(self.actions) - 1, len(self._messages) - 1)
        self.next_timestep = [self.next_timestep[0]._replace(observation=self._messages[at])]
        return super().step(actions, step_mul)


def test_battles_are_set_up_recorded_and_read(tmp_path: Path) -> None:
    messages = [observation(9, 9, 0), *(observation(3 - n, 2, 40 * n) for n in range(3)), observation(0, 0, 250)]
    script, commands = Script(messages), []
    record_battles(tmp_path, CONFIG_SMALL, [0], script, commands.extend)
    list_battles(tmp_path)
    # Set up: what stood there is removed, and units in random numbers are made for both players around the middle.
    removed = [command.kill_unit for command in commands if command.HasField("kill_unit")]
    assert [len(command.tag) for command in removed] == [20]
    made = [command.create_unit for command in commands if command.HasField("create_unit")]
    assert made
    assert all(1 <= unit.quantity <= 3 for unit in made)
    owners = {unit.unit_type: unit.owner for unit in made}
    assert {owner for kind, owner in owners.items() if kind in (48, 51, 33)} <= {1}
    assert {owner for kind, owner in owners.items() if kind in (105, 9, 107)} <= {2}
    assert all(abs(unit.pos.x - 128) <= 6 and abs(unit.pos.y - 128) <= 6 for unit in made)
    # The camera goes there, and then the Terran are sent against the Zerg.
    look, attack = script.actions[1], script.actions[2]
    assert look.action_raw.camera_move.center_world_space.x == 128
    assert attack.action_raw.unit_command.ability_id == ATTACK
    assert len(attack.action_raw.unit_command.unit_tags) == 5
    # Pictures and true counts, until one side has fallen.
    found = list(make_reader("starcraft2", str(tmp_path)).read())
    assert all(isinstance(item, Source) for item in found)
    assert [item.label for item in found] == [3, 2, 1, 0]
    greys = [np.asarray(Image.open(item.uri))[0, 0].tolist() for item in found]
    assert greys == [[0, 0, 0], [40, 20, 0], [80, 40, 0], [250, 125, 0]]
    assert Image.open(found[1].proxy_uri).size == (16, 16)
    (rows,) = [json.loads(path.read_text()) for path in tmp_path.glob("*/battle.json")]
    start = {unit.unit_type: unit.quantity for unit in made}
    terran = sum(start.get(kind, 0) for kind in (48, 51, 33))
    assert [row["terran_lost"] for row in rows] == [terran - 5, terran - 4, terran - 3, terran - 2]
    assert [row["zergling_present"] for row in rows] == [1, 1, 1, 0]


def test_seeds_decide_the_units_and_ends_of_the_game_are_survived(tmp_path: Path) -> None:
    def quantities(folder: str, seed: int) -> list:
        commands: list = []
        script = Script([observation(2, 2, 5)])
        record_battles(tmp_path / folder, CONFIG_SMALL.replace(seed=seed), [0, 1, 2, 3], script, commands.extend)
        return [unit.create_unit for unit in commands if unit.HasField("create_unit")]

    first = quantities("a", 1)
    assert first == quantities("b", 1)
    assert first != quantities("c", 2)
    # The mock's games end after ten steps: there are pictures of all four battles all the same.
    rows = [json.loads(path.read_text()) for path in sorted((tmp_path / "a").glob("*/battle.json"))]
    assert len(rows) == 4
    assert sum(map(len, rows)) >= 14


def test_marines_of_others_do_not_count() -> None:
    message = observation(4, 1, 0)
    message.observation.raw_data.units[0].alliance = ENEMY
    terran, zerg = counts_in(message)
    assert (terran["marine"], terran["marauder"], zerg["zergling"], zerg["marine"]) == (3, 2, 1, 1)


def test_it_goes_on_and_keeps_to_its_configuration(tmp_path: Path) -> None:
    script = Script([observation(2, 2, 5)])
    (tmp_path / CONFIG).write_text(CONFIG_SMALL.to_json())
    record_battles(tmp_path, CONFIG_SMALL, [0], script, lambda _: None)
    assert record(tmp_path, CONFIG_SMALL, 1).exists()  # nothing is missing, so that no game is started
    with pytest.raises(DataError, match="another configuration"):
        record(tmp_path, CONFIG_SMALL.replace(seed=3), 1)


def test_without_the_game_there_is_a_sentence(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SC2PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ResourceError, match=r"cannot be started.*simulate"):
        _launch(CONFIG_SMALL)
    with pytest.raises(ConfigError, match="does not know the map"):
        _launch(CONFIG_SMALL.replace(map="Atlantis"))
    options = ["record", "--output", str(tmp_path / "out"), "--episodes", "1", "--map", "Flat64"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 5
    assert result.output.startswith("error: StarCraft II cannot be started")
