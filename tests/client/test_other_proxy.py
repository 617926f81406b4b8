"""A model whose proxies are made from other images: the proxy goes beside the image in every input mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.export.saccaders import CLASS_NAMES, RECIPE, picture, small_saccader, write_image, write_picture_pyramid
from tfvs.cli.main import cli
from tfvs.client.client import connect
from tfvs.client.options import ClientOptions
from tfvs.errors import InputError
from tfvs.export.saving import export_saved_model
from tfvs.images.proxy import proxy_from_other_image
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions

pytestmark = pytest.mark.slow  # exports a model of its own


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("battles")
    pixels = picture(640, 832, seed=3)
    write_picture_pyramid(folder / "a.tif", pixels)
    write_image(folder / "a.png", pixels)
    write_image(folder / "map.png", picture(64, 64, seed=9))
    return folder


@pytest.fixture(scope="module")
def base(root, tmp_path_factory) -> Path:
    """The small saccader, exported for records whose proxies came from other images."""
    folder = tmp_path_factory.mktemp("other")
    recipe = RECIPE.replace(source="other_image")
    export_saved_model(small_saccader(), folder / "1", class_names=CLASS_NAMES, proxy=recipe, image_roots=[root])
    return folder


@pytest.fixture(scope="module")
def server(base):
    options = ServerOptions(model_base_path=str(base), port=0, shutdown_grace_seconds=2.0)
    with ModelServer(options) as running:
        yield f"127.0.0.1:{running.port}"


def test_all_input_modes_take_the_proxy_and_agree(server, root) -> None:
    pixels = proxy_from_other_image(root / "map.png", RECIPE)
    answers = {}
    for mode, name in [("pyramids", "a.tif"), ("crops", "a.png"), ("images", "a.png"), ("auto", "a.png")]:
        with connect(ClientOptions(server=server, input_mode=mode, pyramid_root=str(root))) as client:
            for proxy in (root / "map.png", pixels):
                answer = client.predict(root / name, proxy=proxy)
                assert answer.valid, answer.reason
                answers[f"{mode} {name} {type(proxy).__name__}"] = answer
    first = answers["pyramids a.tif PosixPath"]
    for name, other in answers.items():
        np.testing.assert_allclose(other.boxes, first.boxes, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(other.probabilities, first.probabilities, atol=1e-2, err_msg=name)
    with connect(ClientOptions(server=server, input_mode="crops")) as client:
        elsewhere = client.predict(root / "a.png", proxy=255 - pixels)
    assert np.abs(elsewhere.boxes - first.boxes).max() > 1e-3  # the proxy decides where it looks


def test_an_image_without_its_proxy_is_refused_with_a_sentence(server, root) -> None:
    sentence = "made from other images than its pixels: send the proxy as well"
    with connect(ClientOptions(server=server, input_mode="images")) as client:
        answer = client.predict(root / "a.png")
    assert not answer.valid
    assert sentence in answer.reason
    for mode, name in (("crops", "a.png"), ("pyramids", "a.tif")):
        with (
            connect(ClientOptions(server=server, input_mode=mode, pyramid_root=str(root))) as client,
            pytest.raises(InputError, match=sentence),
        ):
            client.predict(root / name)


def test_the_command_takes_proxies(base, root) -> None:
    arguments = ["predict", str(root / "a.png"), "--model", str(base)]
    result = CliRunner().invoke(cli, [*arguments, "--proxy", str(root / "map.png")])
    assert result.exit_code == 0, result.output
    assert any(name in result.output for name in CLASS_NAMES)
    assert CliRunner().invoke(cli, arguments).exit_code == 4
    twice = CliRunner().invoke(cli, [*arguments, "--proxy", "a", "--proxy", "b"])
    assert twice.exit_code != 0
