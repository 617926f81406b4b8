"""Images that are pyramids already are copied tile by tile."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from tfvs.images.proxy import ProxyRecipe
from tfvs.images.tiff.tile_index import read_index
from tfvs.preparation.decode import Decoded, Refused, Task, decode
from tfvs.preparation.options import PrepareOptions

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), tile_size=32)


def write_tiff(path: Path, bands: int = 3, **options) -> Path:
    pixels = np.random.default_rng(0).integers(256, size=(300, 500, bands), dtype=np.uint8)
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb" if bands > 2 else "b-w")
    defaults = {"tile": True, "pyramid": True, "tile_width": 64, "tile_height": 64, "compression": "jpeg", "Q": 75}
    image.tiffsave(str(path), **{**defaults, **options})
    return path


def run(path: Path, options: PrepareOptions = OPTIONS) -> tuple[Decoded | Refused, Path]:
    target = path.with_name("out") / path.name
    return decode(Task(str(path), None, str(target), options, "00")), target


def tiles(path: Path) -> list[bytes]:
    index, data = read_index(path), path.read_bytes()
    skip = 12 if index.framed else 0
    return [
        data[start + skip : start + skip + count]
        for start, count in zip(index.tile_offsets, index.tile_bytes, strict=True)
    ]


@pytest.mark.parametrize("encoding", [{}, {"bigtiff": True}, {"compression": "deflate"}, {"bands": 1}])
def test_tiles_are_copied_not_encoded_anew(tmp_path, encoding):
    source = write_tiff(tmp_path / "a.tif", **encoding)
    decoded, target = run(source)
    assert decoded.index.framed
    assert decoded.index.levels == read_index(source).levels
    assert tiles(target) == tiles(source)


@pytest.mark.parametrize(
    ("encoding", "options"),
    [
        ({"pyramid": False}, {}),
        ({"tile": False, "pyramid": False}, {}),
        ({"subifd": True}, {}),
        ({"depth": "one", "tile_width": 512, "tile_height": 512}, {}),  # its coarsest level is too fine
        ({"compression": "lzw"}, {}),
        ({"bands": 4, "compression": "deflate"}, {}),
        ({}, {"bands": 1}),
        ({}, {"max_side_px": 200}),
        ({}, {"keep_pyramids": False}),
    ],
)
def test_what_is_not_wanted_as_it_is_is_converted(tmp_path, encoding, options):
    source = write_tiff(tmp_path / "a.tif", **encoding)
    decoded, target = run(source, OPTIONS.replace(**options))
    assert decoded.index.levels[0][2:4] == (32, 32)
    assert decoded.index.bands == options.get("bands", 3)
    assert read_index(target).framed


def test_a_photograph_on_its_side_is_turned(tmp_path):
    path = tmp_path / "a.tif"
    plain = pyvips.Image.new_from_file(str(write_tiff(tmp_path / "plain.tif"))).copy()
    plain.set_type(pyvips.GValue.gint_type, "orientation", 6)
    plain.tiffsave(str(path), tile=True, pyramid=True, compression="jpeg", tile_width=64, tile_height=64)
    decoded, _ = run(path)
    assert (decoded.index.width, decoded.index.height) == (300, 500)


def test_a_damaged_pyramid_is_refused_and_leaves_nothing(tmp_path):
    source = write_tiff(tmp_path / "a.tif")
    data = bytearray(source.read_bytes())
    index = read_index(source)
    start = index.tile_offsets[3]
    data[start : start + index.tile_bytes[3]] = bytes(index.tile_bytes[3])
    source.write_bytes(data)
    refused, target = run(source)
    assert isinstance(refused, Refused)
    assert refused.stage == "pyramid"
    assert not target.exists()
