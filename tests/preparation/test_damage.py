"""Damaged TIFFs are dead letters, however little their decoder minds."""

from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile

from tfvs.errors import ImageError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.damage import check_streams
from tfvs.preparation.decode import Decoded, Refused, Task, decode
from tfvs.preparation.options import PrepareOptions

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), tile_size=32)
LAYOUTS = {
    "kept": {"tile": True, "pyramid": True, "tile_width": 64, "tile_height": 64},
    "tiles": {"tile": True, "tile_width": 64, "tile_height": 64},
    "strips": {},
}
DAMAGES = {
    "zeros": lambda part: bytes(len(part)),
    "zeros_at_the_end": lambda part: part[: len(part) // 2] + bytes(len(part) - len(part) // 2),
    "another_checksum": lambda part: part[:-2] + bytes([part[-2] ^ 0x10, part[-1]]),
    "one_bit": lambda part: part[:100] + bytes([part[100] ^ 0x10]) + part[101:],
}


def write_tiff(path: Path, compression: str, layout: str) -> Path:
    small = np.random.default_rng(0).integers(256, size=(40, 50, 3), dtype=np.uint8)
    image = pyvips.Image.new_from_array(small).resize(8, kernel="cubic").cast("uchar").copy(interpretation="srgb")
    image.tiffsave(str(path), compression=compression, **LAYOUTS[layout])
    return path


def run(path: Path, proxy: Path | None = None, **fields) -> Decoded | Refused:
    target = str(path.with_name("out") / "p.tif")
    return decode(Task(str(path), proxy and str(proxy), target, OPTIONS.replace(**fields), "00"))


def damage(path: Path, change) -> None:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        number = len(page.dataoffsets) // 2
        start, length = page.dataoffsets[number], page.databytecounts[number]
    data = path.read_bytes()
    path.write_bytes(data[:start] + change(data[start : start + length]) + data[start + length :])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("compression", "kinds"),
    [("deflate", DAMAGES), ("lzw", ("zeros", "zeros_at_the_end")), ("jpeg", ("zeros", "zeros_at_the_end"))],
)
def test_damaged_streams_are_refused_and_whole_ones_are_not(tmp_path, layout, compression, kinds):
    path = write_tiff(tmp_path / "a.tif", compression, layout)
    whole = path.read_bytes()
    for kind in kinds:
        damage(path, DAMAGES[kind])
        refused = run(path)
        assert isinstance(refused, Refused), kind
        assert refused.stage == "pyramid"
        assert not list((tmp_path / "out").iterdir())
        path.write_bytes(whole)
    assert isinstance(run(path), Decoded)


@pytest.mark.parametrize("compression", ["deflate", "lzw", "jpeg", None])
@pytest.mark.parametrize("parts", [{"tile": (64, 64)}, {"rowsperstrip": 32}])
def test_files_that_are_cut_off_behind_their_directory_are_refused(tmp_path, compression, parts):
    """tifffile writes the directory first, so that it is there when the rest is not; and tags that libtiff warns of."""
    path = tmp_path / "a.tif"
    array = np.random.default_rng(0).integers(256, size=(300, 400, 3), dtype=np.uint8)
    unknown = [(65000, "s", 0, "a tag of one's own", True)]
    tifffile.imwrite(path, array, photometric="rgb", compression=compression, extratags=unknown, **parts)
    assert isinstance(run(path), Decoded)
    (tmp_path / "out" / "p.tif").unlink()
    data = path.read_bytes()
    for share in (0.97, 0.5):
        path.write_bytes(data[: int(share * len(data))])
        assert isinstance(run(path), Refused)


@pytest.mark.parametrize("rows", [1, 1023, 1024, 2048])
@pytest.mark.parametrize("noise", [False, True])
def test_streams_of_any_length_are_followed(tmp_path, rows, noise):
    """Strips of about as much as is inflated at once, and of more; compressed much and not at all."""
    array = np.zeros([2048, 1024], np.uint8)
    if noise:
        array = np.random.default_rng(0).integers(256, size=array.shape, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, compression="deflate", rowsperstrip=rows)
    check_streams(str(tmp_path / "a.tif"))


def test_a_stream_that_holds_more_than_its_tile_is_refused(tmp_path):
    path = write_tiff(tmp_path / "a.tif", "deflate", "tiles")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["TileLength"].overwrite(32)
    with pytest.raises(ImageError, match="does not come to its end"):
        check_streams(str(path))


def test_a_damaged_proxy_is_refused_at_its_own_stage(tmp_path):
    path = write_tiff(tmp_path / "a.tif", "jpeg", "kept")
    proxy = write_tiff(tmp_path / "proxy.tif", "deflate", "strips")
    assert isinstance(run(path, proxy), Decoded)
    damage(proxy, DAMAGES["zeros_at_the_end"])
    refused = run(path, proxy)
    assert isinstance(refused, Refused)
    assert refused.stage == "proxy"
