"""Framed pyramids: ordinary TIFFs to every other reader, upright sRGB, whole or not there."""

import shutil
import struct
import subprocess

import numpy as np
import pytest
import pyvips
import tensorflow as tf
import tifffile

from tests.images.pyramids import as_image, texture
from tfvs.errors import ConfigError, ImageError
from tfvs.images.pyramid import PyramidOptions, write_pyramid
from tfvs.images.tile_index import masked_crc, read_index

# Down to one pixel, so that however wide a crop is, there is a level for it.
LEVELS = [(330, 500), (165, 250), (82, 125), (41, 62), (20, 31), (10, 15), (5, 7), (2, 3), (1, 1)]


@pytest.mark.parametrize("compression", ["jpeg", "deflate", "none"])
@pytest.mark.parametrize("subifd", [False, True])
def test_other_readers_see_an_ordinary_pyramid(tmp_path, compression, subifd):
    array = texture(330, 500)
    path, plain = tmp_path / "framed.tif", tmp_path / "plain.tif"
    index = write_pyramid(as_image(array), path, tile_size=128, compression=compression, subifd=subifd)
    as_image(array).tiffsave(
        str(plain),
        tile=True,
        pyramid=True,
        depth="onepixel",
        subifd=subifd,
        compression=compression,
        Q=90,
        predictor="none",
    )
    ours = pyvips.Image.tiffload(str(path), revalidate=True).numpy()
    np.testing.assert_array_equal(ours, pyvips.Image.tiffload(str(plain), revalidate=True).numpy())
    if compression != "jpeg":
        np.testing.assert_array_equal(ours, array)
    with tifffile.TiffFile(path) as tiff:
        levels = tiff.series[0].levels
        assert [level.shape[:2] for level in levels] == LEVELS
        np.testing.assert_allclose(levels[0].asarray().astype(int), ours, atol=2 if compression == "jpeg" else 0)
    assert [level[:2] for level in index.levels] == [(width, height) for height, width in LEVELS]
    assert index == read_index(path)
    assert {p.name for p in tmp_path.iterdir()} == {"framed.tif", "plain.tif"}


@pytest.mark.parametrize(
    ("bands", "dtype", "options"),
    [
        (1, "uint8", {}),
        (3, "uint8", {"quality": 70}),  # YCbCr, chroma subsampled
        (1, "uint16", {"compression": "deflate", "predictor": True}),
        (3, "uint16", {"compression": "none", "subifd": True}),
        (3, "uint8", {"compression": "deflate", "bands": 4}),
    ],
)
def test_the_index_is_what_reading_the_file_gives(tmp_path, bands, dtype, options):
    path = tmp_path / "a.tif"
    image = as_image(texture(330, 500, bands, dtype))
    assert write_pyramid(image, path, tile_size=64, **options) == read_index(path)


def test_every_tile_is_a_tfrecord_with_its_checksum(tmp_path):
    path = tmp_path / "a.tif"
    index = write_pyramid(as_image(texture(200, 300)), path, tile_size=64)
    data = path.read_bytes()
    assert index.framed
    assert index.file_bytes == len(data)
    for offset, length in zip(index.tile_offsets, index.tile_bytes, strict=True):
        header, tile = data[offset : offset + 12], data[offset + 12 : offset + 12 + length]
        assert struct.unpack("<Q", header[:8])[0] == length
        assert struct.unpack("<I", header[8:])[0] == masked_crc(header[:8])
        assert struct.unpack("<I", data[offset + 12 + length :][:4])[0] == masked_crc(tile)
        assert tile[:2] == b"\xff\xd8"
    # Tiles of a level follow one another: TensorFlow reads all of level 0 as one sequence of records.
    (tmp_path / "records").write_bytes(data[index.tile_offsets[0] :])
    records = list(tf.data.TFRecordDataset(str(tmp_path / "records")).take(20).as_numpy_iterator())
    assert [len(record) for record in records] == index.tile_bytes[:20]


@pytest.mark.skipif(shutil.which("tiffinfo") is None, reason="Debian's libtiff-tools are not installed")
def test_libtiffs_own_tools_accept_it(tmp_path):
    path = tmp_path / "a.tif"
    index = write_pyramid(as_image(texture(200, 300)), path, tile_size=64, compression="deflate")
    said = subprocess.run(["tiffinfo", "-D", str(path)], capture_output=True, text=True, check=True)
    assert "Error" not in said.stderr
    assert said.stdout.count("Tile Width: 64 Tile Length: 64") == len(index.levels)
    subprocess.run(["tiffcp", str(path), str(tmp_path / "copy.tif")], check=True, capture_output=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "copy.tif", key=0), tifffile.imread(path, key=0))


def test_openslide_accepts_it(tmp_path):
    openslide = pytest.importorskip("openslide", reason="openslide-python and openslide-bin are not installed")
    array, path = texture(200, 300), tmp_path / "a.tif"
    for compression in ("jpeg", "deflate", "none"):
        index = write_pyramid(as_image(array), path, tile_size=64, compression=compression)
        with openslide.OpenSlide(path) as slide:
            assert slide.properties["openslide.vendor"] == "generic-tiff"
            assert list(slide.level_dimensions) == [level[:2] for level in index.levels]
            for level in range(2):
                size = slide.level_dimensions[level]
                seen = np.asarray(slide.read_region((0, 0), level, size).convert("RGB")).astype(int)
                np.testing.assert_allclose(seen, tifffile.imread(path, key=level), atol=2)


def test_orientation_alpha_grey_and_depth(tmp_path):
    array = texture(40, 60)
    turned = as_image(array).copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", 6)
    turned.jpegsave(str(tmp_path / "turned.jpg"), Q=98)
    index = write_pyramid(tmp_path / "turned.jpg", tmp_path / "turned.tif", tile_size=16, compression="none")
    assert (index.width, index.height) == (40, 60)

    alpha = as_image(array).bandjoin(0).copy(interpretation="srgb")
    alpha.pngsave(str(tmp_path / "alpha.png"))
    index = write_pyramid(tmp_path / "alpha.png", tmp_path / "alpha.tif", tile_size=16, compression="none")
    assert index.bands == 3
    assert (tifffile.imread(tmp_path / "alpha.tif", key=0) == 255).all()  # transparent on white
    index = write_pyramid(tmp_path / "alpha.png", tmp_path / "rgba.tif", tile_size=16, compression="none", bands=4)
    assert index.bands == 4

    as_image(texture(40, 60, 1, "uint16")).pngsave(str(tmp_path / "deep.png"))
    index = write_pyramid(tmp_path / "deep.png", tmp_path / "deep.tif", tile_size=16, compression="deflate")
    assert (index.bands, index.dtype) == (1, "uint16")
    index = write_pyramid(tmp_path / "deep.png", tmp_path / "flat.tif", tile_size=16, dtype="uint8", bands=3)
    assert (index.bands, index.dtype) == (3, "uint8")
    deep, flat = (tifffile.imread(tmp_path / name, key=0).astype(float) for name in ("deep.tif", "flat.tif"))
    assert np.abs(flat[..., 0] - deep / 257).max() < 12  # JPEG


def test_samples_scale_by_257_and_back(tmp_path):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    write_pyramid(as_image(values), tmp_path / "up.tif", tile_size=16, compression="none", dtype="uint16")
    up = tifffile.imread(tmp_path / "up.tif", key=0)
    np.testing.assert_array_equal(up, values[..., 0].astype(np.uint16) * 257)
    write_pyramid(tmp_path / "up.tif", tmp_path / "down.tif", tile_size=16, compression="none", dtype="uint8")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "down.tif", key=0), values[..., 0])


def test_cmyk_becomes_srgb(tmp_path):
    cmyk = pyvips.Image.black(32, 32, bands=4).copy(interpretation="cmyk")  # no ink: white
    cmyk.jpegsave(str(tmp_path / "cmyk.jpg"), Q=95)
    index = write_pyramid(tmp_path / "cmyk.jpg", tmp_path / "a.tif", tile_size=16, compression="none")
    assert index.bands == 3
    assert tifffile.imread(tmp_path / "a.tif", key=0).min() > 245


def test_progress_goes_up_to_one(tmp_path):
    seen = []
    write_pyramid(as_image(texture(600, 600)), tmp_path / "a.tif", tile_size=64, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_failed_write_leaves_nothing(tmp_path):
    as_image(texture(400, 400)).jpegsave(str(tmp_path / "a.jpg"))
    (tmp_path / "half.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:20000])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ImageError, match="decoded"):
        write_pyramid(tmp_path / "half.jpg", target / "a.tif")
    with pytest.raises(ImageError, match="JPEG tiles hold 8 bits"):
        write_pyramid(as_image(texture(40, 40, 3, "uint16")), target / "a.tif")
    assert not list(target.iterdir())


@pytest.mark.parametrize("wrong", [{"tile_size": 100}, {"tile_size": 8}, {"compression": "lzw"}, {"quality": 0}])
def test_options_are_checked(wrong):
    with pytest.raises(ConfigError):
        PyramidOptions(**wrong)
