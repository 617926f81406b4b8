"""What a client may leave out of a tile index, and what the graph does where too much is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.export.saccaders import (
    CROP_SIZE,
    RECIPE,
    adapt,
    picture,
    pyramid_request,
    small_saccader,
    write_picture_pyramid,
)
from tfvs.client.client import connect
from tfvs.client.options import ClientOptions
from tfvs.export.description import DESCRIPTION_OUTPUT, ModelDescription
from tfvs.export.pyramid_inputs import pyramid_inputs, without_unused_levels
from tfvs.images.tiff.tile_index import read_index
from tfvs.server.servable import Servable

SIZES = [(700, 900), (512, 512), (300, 2000)]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for height, width in SIZES:
        write_picture_pyramid(folder / f"{height}.tif", picture(height, width, seed=height))
    return folder


@pytest.fixture(scope="module")
def servable(root, exported, tmp_path_factory) -> Servable:
    return Servable("saccader", 1, str(adapt(exported, tmp_path_factory.mktemp("saccader"), [root])))


def shortened(root: Path, name: str, short) -> dict[str, np.ndarray]:
    return {**pyramid_request(root, name), **pyramid_inputs(name, short)}


@pytest.mark.parametrize("height", [height for height, _ in SIZES])
def test_the_levels_left_out_are_those_that_no_crop_needs(servable, root, height):
    name = f"{height}.tif"
    index = read_index(root / name)
    inputs = {"proxy": np.zeros([1, *RECIPE.shape], np.float32), "image_size": np.ones([1, 2], np.int32)}
    described = servable.run("locate", inputs)[DESCRIPTION_OUTPUT][0].decode()
    scale = ModelDescription.from_json(described).min_scale
    assert scale == pytest.approx(small_saccader().config.min_scale)
    short = without_unused_levels(index, scale, CROP_SIZE)
    assert len(short.tile_bytes) < len(index.tile_bytes) / 2
    width, height, *_ = short.levels[0]
    assert scale * min(width, height) >= CROP_SIZE - 1  # every sample of the smallest crop has a pixel
    whole = servable.run("predict_pyramids", pyramid_request(root, name))
    answer = servable.run("predict_pyramids", shortened(root, name, short))
    assert answer["valid"].all()
    for key, value in whole.items():
        np.testing.assert_array_equal(answer[key], value, err_msg=key)


def test_nothing_is_left_out_where_every_level_may_be_needed(root):
    index = read_index(root / "512.tif")
    assert without_unused_levels(index, 0.01, CROP_SIZE) is index
    upside_down = replace(index, levels=[(*level[:4], 1000 - level[4]) for level in index.levels])
    assert without_unused_levels(upside_down, 0.25, CROP_SIZE) is upside_down


def test_an_index_without_a_level_that_is_needed_is_refused(servable, root):
    short = without_unused_levels(read_index(root / "700.tif"), 1.0, CROP_SIZE // 2)
    answer = servable.run("predict_pyramids", shortened(root, "700.tif", short))
    assert not answer["valid"].any()


def test_the_client_sends_the_whole_index_to_a_model_that_looks_closer_than_it_knew(servable, root):
    options = ClientOptions(model_dir=servable.path, input_mode="pyramids", pyramid_root=str(root))
    with connect(options) as client:
        wanted = client.predict(root / "700.tif")
        client._min_scale = 1.0  # as of another version
        answer = client.predict(root / "700.tif")
    assert answer.valid
    np.testing.assert_array_equal(answer.probabilities, wanted.probabilities)
