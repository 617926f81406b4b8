"""``tfvs view``: an exported model and an image give a page and GeoJSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.export.saccaders import CLASS_NAMES, adapt, picture, write_image
from tfvs.cli.main import cli, main


@pytest.fixture(scope="module")
def model(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    adapt(exported, folder / "model", [folder])
    write_image(folder / "photo [1].png", picture(300, 420, seed=3))
    return folder


def test_a_page_and_geojson(model: Path, tmp_path: Path) -> None:
    page, geojson = tmp_path / "page.html", tmp_path / "looks.geojson"
    arguments = ["view", str(model / "model"), str(model / "photo [1].png"), "-o", str(page), "--geojson", str(geojson)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert str(page) in result.output
    text = page.read_text()
    assert all(name in text for name in CLASS_NAMES)
    features = json.loads(geojson.read_text())["features"]
    corners = [
        point for f in features if f["geometry"]["type"] == "Polygon" for point in f["geometry"]["coordinates"][0]
    ]
    assert len(corners) == 10  # two looks
    assert all(-420 < x < 840 and -300 < y < 600 for x, y in corners)  # pixels of the image, not fractions
    said = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert (said["page"], said["geojson"]) == (str(page), str(geojson))
    assert said["label"] in CLASS_NAMES


def test_an_image_that_cannot_be_read_is_one_sentence(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "text.png").write_text("no image")
    with pytest.raises(SystemExit) as exit_code:
        main(["view", str(model / "model"), str(model / "text.png")])
    assert exit_code.value.code == 4
    message = capsys.readouterr().err
    assert "text.png" in message
    assert len(message.splitlines()) == 1
