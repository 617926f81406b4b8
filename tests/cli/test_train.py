"""``tfvs inspect``, ``tfvs train`` and ``tfvs evaluate`` on made photographs: the way from a folder to a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tfvs.cli.main import cli
from tfvs.datasets.sign_photographs import CLASS_NAMES, SignConfig, write

# Two steps of the smallest of models; what is learned is measured elsewhere.
SMALLEST = {
    "train.epochs": 2, "train.steps_per_epoch": 1, "train.batch_size": 4, "model.num_steps": 2, "model.crop_size": 16,
    "model.crop_filters": [4, 4, 4, 4], "model.map_filters": [4, 4], "model.crop_units": 4,
}  # fmt: skip
OPTIONS = [option for name, value in SMALLEST.items() for option in ("--set", f"{name}={json.dumps(value)}")]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signs")
    write(folder / "photos", SignConfig(width=240, height=160, sign_px=20), {"train": 12, "eval": 3, "test": 6})
    run("prepare", folder / "photos", folder / "prepared", "--decoder", "direct", "--tile-size", "64")
    return folder / "prepared"


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    model = tmp_path_factory.mktemp("trained") / "model"
    return model, run("train", prepared, "--output", model, "--object-px", 20, "--encoder", "small", *OPTIONS)


def test_a_prepared_set_is_told_with_a_sheet(prepared: Path, tmp_path: Path) -> None:
    told = json.loads(run("inspect", prepared, "--json", "--object-px", 20, "-o", tmp_path / "sheet.png").stdout)
    assert told["class_names"] == list(CLASS_NAMES)
    assert told["splits"]["train"] == dict.fromkeys(CLASS_NAMES, 4)
    assert told["sizes"]["median"] == [160, 240]
    assert told["plan"]["model"]["posterior"] == "categorical"
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    result = run("inspect", prepared)
    assert "warning: Too few images to learn from" in result.stdout
    assert result.stderr.splitlines()[-1].startswith("Next: tfvs train ")


def test_an_image_and_its_pyramid_are_told(prepared: Path, tmp_path: Path) -> None:
    photograph = next((prepared.parent / "photos").rglob("*.jpg"))
    told = json.loads(run("inspect", photograph, "--json").stdout)
    assert (told["width"], told["height"], told["bands"], told["levels"]) == (240, 160, 3, [])
    assert "pyramid" in told["would"]
    assert "uint16" not in told["would"]
    pyramid = json.loads(run("inspect", next((prepared / "pyramids").rglob("*.tif")), "--json").stdout)
    assert pyramid["levels"][0] == [240, 160, 64, 64]
    assert (pyramid["framed"], pyramid["would"]) == (True, "Its tiles are copied as they are.")
    Image.fromarray(np.zeros([20, 30], np.uint16)).save(tmp_path / "deep.png")
    deep = json.loads(run("inspect", tmp_path / "deep.png", "--json").stdout)
    assert "Its samples become uint8; tfvs prepare --compression deflate keeps uint16." in deep["would"]


def test_what_cannot_be_trained_on_is_told_all_the_same(tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / "mixed" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full([20, 30, 3] if number % 3 else [20, 30], 9 * number, np.uint8)).save(path)
    run("prepare", tmp_path / "mixed", tmp_path / "prepared", "--decoder", "direct")
    told = json.loads(run("inspect", tmp_path / "prepared", "--json").stdout)
    assert (told["plan"], told["kinds"]) == (None, [[1, "uint8"], [3, "uint8"]])
    assert "--bands 3" in told["obstacle"]
    result = run("inspect", tmp_path / "prepared")
    assert "--bands 3" in result.stdout
    assert "tfvs train" not in result.stderr


@pytest.mark.slow
def test_what_was_chosen_is_said_and_what_was_trained_is_exported(trained: tuple[Path, Result]) -> None:
    model, result = trained
    assert "categorical posterior" in result.stdout
    assert "warning: Too few images" in result.stdout
    assert "epoch 2/2" in result.stdout
    (folder,) = (model / "training").iterdir()
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["train"]["epochs"] == 2
    assert {choice["why"] for choice in plan["choices"]} >= {"given", "asked for"}
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(run("inspect", model, "--json").stdout)
    assert told["class_names"] == list(CLASS_NAMES)
    assert "serving_default" in told["signatures"]
    assert told["proxy"]["width"] == plan["proxy"]["width"] != 32


@pytest.mark.slow
def test_the_same_command_does_nothing_again(trained: tuple[Path, Result], prepared: Path) -> None:
    model, _ = trained
    again = run("train", prepared, "--output", model, "--object-px", 20, "--encoder", "small", *OPTIONS)
    assert "trained and exported before" in again.stdout
    assert sorted(path.name for path in model.iterdir()) == ["1", "training"]


@pytest.mark.slow
def test_evaluation_makes_the_proxies_that_the_model_wants(trained: tuple[Path, Result], prepared: Path) -> None:
    model, _ = trained
    scores = json.loads(run("evaluate", model, prepared, "--json").stdout)
    assert (scores["accuracy"][3], scores["unreadable"]) == (6, 0)


def test_a_dry_run_trains_nothing(prepared: Path, tmp_path: Path) -> None:
    plan = json.loads(run("train", prepared, "--output", tmp_path / "m", "--dry-run", "--json").stdout)
    assert plan["model"]["posterior"] == "gaussian"
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("arguments", "code"), [(["train", "PREPARED", "--output", "m", "--set", "epochs"], 2), (["inspect", "nowhere"], 3)]
)
def test_wrong_arguments_have_their_exit_codes(prepared: Path, arguments: list[str], code: int) -> None:
    from tfvs.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main([str(prepared) if word == "PREPARED" else word for word in arguments])
    assert ended.value.code == code
