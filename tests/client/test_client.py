from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.export.saccaders import CLASS_NAMES, adapt, picture, write_image, write_picture_pyramid
from tfvs.cli.main import cli
from tfvs.client.client import connect, predict_paths
from tfvs.client.options import ClientOptions
from tfvs.errors import ConfigError, ImageError, InputError, ResourceError
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    pixels = picture(640, 832, seed=3)
    write_picture_pyramid(folder / "a.tif", pixels)
    write_image(folder / "a.png", pixels)
    foreign = {"tile": True, "pyramid": True, "tile_width": 32, "tile_height": 32, "compression": "deflate"}
    write_image(folder / "subifd.tif", pixels, subifd=True, **foreign)
    return folder


@pytest.fixture(scope="module")
def base(root, exported, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saccader")
    adapt(exported, folder, [root])
    return folder


@pytest.fixture(scope="module")
def server(base):
    options = ServerOptions(model_base_path=str(base), port=0, enable_batching=True, shutdown_grace_seconds=2.0)
    with ModelServer(options) as running:
        yield f"127.0.0.1:{running.port}"


def test_the_three_input_modes_agree(server, root):
    answers = {}
    modes = [
        ("pyramids", "a.tif"),
        ("crops", "a.png"),
        ("crops", "a.tif"),
        ("images", "a.png"),
        ("crops", "subifd.tif"),
    ]
    for mode, name in modes:
        with connect(ClientOptions(server=server, input_mode=mode, pyramid_root=str(root))) as client:
            answer = client.predict(root / name)
        assert answer.valid, answer.reason
        assert answer.input_mode == mode
        answers[f"{mode} {name}"] = answer
    first = answers["pyramids a.tif"]
    for name, other in answers.items():
        assert other.label == first.label, name
        np.testing.assert_allclose(other.boxes, first.boxes, atol=2e-3, err_msg=name)
        np.testing.assert_allclose(other.probabilities, first.probabilities, atol=1e-2, err_msg=name)


def test_auto_takes_the_cheapest_way(server, root, tmp_path):
    large = write_image(tmp_path / "large.jpg", picture(2100, 2200))
    with connect(ClientOptions(server=server, pyramid_root=str(root))) as client:
        assert client.predict(root / "a.tif").input_mode == "pyramids"
        assert client.predict(root / "a.png").input_mode == "images"
        assert client.predict(large).input_mode == "crops"
        assert client.predict(picture(300, 200)).input_mode == "images"
        shutil.copy(root / "a.tif", tmp_path / "unreachable.tif")
        assert client.predict(tmp_path / "unreachable.tif").input_mode == "crops"


def test_in_process_gives_what_the_server_gives(server, base, root):
    with connect(ClientOptions(server=server)) as remote, connect(ClientOptions(model_dir=str(base))) as local:
        np.testing.assert_allclose(
            remote.predict(root / "a.png").probabilities, local.predict(root / "a.png").probabilities, atol=1e-6
        )


def test_a_link_out_of_the_root_is_refused_by_the_embedded_server(server, root, tmp_path):
    shutil.copy(root / "a.tif", tmp_path / "secret.tif")
    link = root / "link.tif"
    link.symlink_to(tmp_path / "secret.tif")
    from tfvs.images.tiff.tile_index import read_index

    with connect(ClientOptions(server=server, input_mode="pyramids")) as client:
        answer = client.predict_pyramid(root / "a.tif", read_index(root / "a.tif"))
        assert answer.valid, answer.reason
        link_index = read_index(link)
        client._pyramid_root = None
        refused = client._transport.call("predict_pyramids", _link_request(client, link, link_index))
    assert not refused["valid"][0]
    assert b"image roots" in refused["reason"][0]


def _link_request(client, link, index):
    from tfvs.export.pyramid_inputs import pyramid_inputs
    from tfvs.images.proxy import proxy_from_pyramid

    proxy = proxy_from_pyramid(link, index, client.description.proxy)[np.newaxis] / np.float32(255)
    return {"proxy": proxy, **pyramid_inputs("link.tif", index)}


def test_many_paths_keep_their_order_and_a_bad_one_fails_alone(server, root, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    paths = [str(root / "a.png"), str(tmp_path / "bad.png"), str(tmp_path / "missing.png"), str(root / "a.tif")]
    with connect(ClientOptions(server=server)) as client:
        answers = list(predict_paths(client, paths))
    assert [path for path, _ in answers] == paths
    assert [answer.valid for _, answer in answers] == [True, False, False, True]
    assert all(answer.reason for _, answer in answers[1:3])


def test_batch_mode_shows_its_progress(server, root, capsys):
    with connect(ClientOptions(server=server)) as client:
        answers = list(predict_paths(client, [str(root / "a.png")] * 3, progress=True))
    assert len(answers) == 3
    assert "3/3" in capsys.readouterr().err


def test_a_plain_image_is_no_pyramid(server, root):
    with (
        connect(ClientOptions(server=server, input_mode="pyramids")) as client,
        pytest.raises(ImageError, match="no pyramid"),
    ):
        client.predict(root / "a.png")


def test_no_server_and_no_saccader_are_clear_errors(root, serve, toy_model):
    with connect(ClientOptions(server="127.0.0.1:1", timeout_s=0.5)) as client, pytest.raises(ResourceError) as caught:
        client.predict(picture(50, 50))
    assert "No answer from 127.0.0.1:1 within 0.5 s" in str(caught.value)
    options = ClientOptions(server=f"127.0.0.1:{serve(toy_model).port}", model_name="toy", input_mode="crops")
    with connect(options) as client, pytest.raises(InputError, match="no exported saccader"):
        client.predict(root / "a.png")


def test_options_are_checked():
    with pytest.raises(ConfigError, match="either --server or --model"):
        ClientOptions()
    with pytest.raises(ConfigError, match="HOST:PORT"):
        ClientOptions(server="here")
    with pytest.raises(ConfigError, match="key=value"):
        ClientOptions(server="here:1", metadata=("token",))


def test_predict_command_writes_json_lines(server, root):
    result = CliRunner().invoke(cli, ["predict", str(root / "a.png"), "--server", server, "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout.splitlines()[0])
    assert answer["image"] == str(root / "a.png")
    assert answer["label"] in CLASS_NAMES
    assert len(answer["boxes"]) == 2
    missing = CliRunner().invoke(cli, ["predict", str(root / "none.png"), "--server", server])
    assert missing.exit_code == 4
    assert "no answer: The image cannot be opened" in missing.output


def test_predict_command_runs_a_model_in_process(base, root):
    result = CliRunner().invoke(cli, ["predict", str(root / "a.png"), "--model", str(base), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[0])["label"] in CLASS_NAMES
