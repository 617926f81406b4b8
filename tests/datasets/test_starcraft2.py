"""Simulated battles: what they show, what the minimap tells, and what is written."""

import io

import numpy as np
import pytest
import pyvips
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from tfvs.data.dataset import read_manifest, read_records
from tfvs.data.example import from_example
from tfvs.datasets.pyramid_records import record_files
from tfvs.datasets.starcraft2.__main__ import main
from tfvs.datasets.starcraft2.battles import BattleConfig, draw_units, make_battle
from tfvs.datasets.starcraft2.camera import magnification, project, to_screen
from tfvs.datasets.starcraft2.layout import CLASS_NAMES
from tfvs.datasets.starcraft2.simulate import recipe, write_battle_records, write_images
from tfvs.datasets.starcraft2.sprites import sprite
from tfvs.datasets.starcraft2.units import KINDS, NAMES
from tfvs.preparation.readers import make_reader

CONFIG = BattleConfig(side=256, minimap_noise=0.0)


def test_a_battle_is_a_function_of_seed_split_and_index() -> None:
    battle = make_battle(CONFIG, "train", 5)
    again = make_battle(CONFIG, "train", 5)
    np.testing.assert_array_equal(battle.screen, again.screen)
    np.testing.assert_array_equal(battle.minimap, again.minimap)
    assert battle.screen.shape == (256, 256, 3)
    assert battle.minimap.shape == (64, 64, 3)
    for other in (("test", 5), ("train", 6)):
        assert (make_battle(CONFIG, *other).screen != battle.screen).any()
    units, values = draw_units(CONFIG, "train", 5)
    assert values == battle.values
    np.testing.assert_array_equal(units.screen, battle.units.screen)


def test_counts_are_those_of_the_units_and_cover_the_classes() -> None:
    labels = []
    for index in range(400):
        units, values = draw_units(CONFIG, "train", index)
        labels.append(values["marine_count"])
        assert values["marine_count"] == units.of_kind("marine").sum()
        assert values["marauder_count"] == units.of_kind("marauder").sum()
        assert values["hydralisk_present"] == int(units.of_kind("hydralisk").any())
        assert ((units.screen > 0) & (units.screen < 1)).all()
    counts = np.bincount(labels, minlength=len(CLASS_NAMES))
    assert len(counts) == 23
    assert 0.2 < counts[0] / 400 < 0.45  # most battles have none, as in the game's
    assert (counts[:16] > 0).all()


def test_the_camera_is_projective() -> None:
    """Small steps on the map against the magnification, in closed form."""
    points = np.random.default_rng(1).uniform(0.2, 0.8, (50, 2))
    step = 1e-5
    across, down = (project(to_screen(), points + np.array(d) * step) for d in ((1, 0), (0, 1)))
    here = project(to_screen(), points)
    area = np.abs(np.cross(across - here, down - here)) / step**2
    np.testing.assert_allclose(np.sqrt(area), magnification(points), rtol=1e-3)
    assert magnification(np.array([[0.5, 0.9]])) > magnification(np.array([[0.5, 0.1]]))  # nearer is larger


def test_the_minimap_does_not_tell_marines_from_marauders() -> None:
    """Each kind of unit alone: the same dots for both, others for other sides and tanks."""
    dots = {name: (KINDS[name].dot_px, KINDS[name].terran) for name in NAMES}
    assert dots["marine"] == dots["marauder"]
    assert len({dots[name] for name in ("marine", "siegetank", "zergling")}) == 3
    for index in range(20):
        battle = make_battle(CONFIG, "train", index)
        blue = battle.minimap[..., 2].astype(int) - battle.minimap[..., 0] > 120
        x, y = (battle.units.ground[battle.units.of_kind("marine") | battle.units.of_kind("marauder")] * 64).T
        inside = blue[y.astype(int), x.astype(int)]
        assert inside.mean() > 0.5 if len(inside) else True  # later dots cover some
        assert blue.sum() <= 5 * (battle.units.ground.shape[0] + 1)
    shapes = [np.asarray(sprite(name, 16, 0, 0)) for name in ("marine", "marauder")]
    assert (np.abs(shapes[0].astype(int) - shapes[1]).max(-1) > 40).mean() > 0.02  # on the screen they differ


def test_the_list_of_images_is_what_the_reader_reads(tmp_path) -> None:
    folder = tmp_path / "battles"
    write_images(str(folder), CONFIG, {"train": 3, "eval": 1, "test": 2})
    found = list(make_reader("starcraft2", str(folder)).read())
    assert [item.split for item in found] == ["train"] * 3 + ["eval"] + ["test"] * 2
    battle = make_battle(CONFIG, "train", 1)
    assert found[1].label == battle.label
    np.testing.assert_array_equal(np.asarray(Image.open(found[1].proxy_uri)), battle.minimap)
    difference = np.asarray(Image.open(found[1].uri)).astype(int) - battle.screen
    assert np.abs(difference).mean() < 4  # JPEG
    with pytest.raises(Exception, match="another configuration"):
        write_images(str(folder), CONFIG.replace(seed=1), {"train": 1})


def test_records_hold_the_minimap_and_the_screen(tmp_path) -> None:
    write_battle_records(str(tmp_path), CONFIG, {"train": 2, "test": 1})
    files = record_files(tmp_path, "train", 2)
    assert read_manifest(files).proxy == recipe(CONFIG)
    assert recipe(CONFIG).obstacle()
    for index, serialized in enumerate(read_records(files).as_numpy_iterator()):
        record, battle = from_example(tf.train.Example.FromString(serialized)), make_battle(CONFIG, "train", index)
        assert (record.label, record.index.width, record.index.bands) == (battle.label, 256, 3)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(record.proxy))), battle.minimap)
        screen = pyvips.Image.new_from_file(str(tmp_path / "pyramids" / record.pyramid_uri)).numpy()
        assert np.abs(screen.astype(int) - battle.screen).mean() < 4


def test_the_command(tmp_path) -> None:
    options = ["simulate", "--output", str(tmp_path / "a"), "--train", "1", "--eval", "0", "--test", "1"]
    options += ["--side", "128", "--minimap-px", "16"]
    result = CliRunner().invoke(main, options)
    assert (result.exit_code, result.stdout.strip()) == (0, str(tmp_path / "a" / "predictions.csv"))
    assert CliRunner().invoke(main, [*options, "--workers", "2"]).exit_code == 2
    assert CliRunner().invoke(main, [*options, "--side", "9000"]).exit_code == 2
