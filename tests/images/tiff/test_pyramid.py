"""Framed pyramids: ordinary TIFFs to every other reader, upright sRGB, whole or not there."""

import shutil
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import pyvips
import tensorflow as tf
import tifffile

from tests.images.pyramids import as_image, png, texture
from tfvs.errors import ConfigError, ImageError
from tfvs.images.tiff.frames import masked_crc
from tfvs.images.tiff.pyramid import PyramidOptions, write_pyramid
from tfvs.images.tiff.tile_index import read_index

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


@pytest.mark.parametrize("size", [(130, 700), (31, 2000), (999, 17), (1, 300)])
@pytest.mark.parametrize("subifd", [False, True])
def test_long_images_have_every_level(tmp_path, size, subifd):
    index = write_pyramid(as_image(texture(*size)), tmp_path / "a.tif", tile_size=64, subifd=subifd)
    halvings = [tuple(max(side >> level, 1) for side in size) for level in range(max(size).bit_length())]
    levels = [(height, width) for width, height, *_ in index.levels]
    assert levels == halvings[: len(levels)]
    assert max(levels[-1]) <= 1 or min(levels[-1]) == 1


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
@pytest.mark.parametrize("compression", ["jpeg", "deflate", "none"])
def test_libtiffs_own_tools_accept_it(tmp_path, compression):
    path = tmp_path / "a.tif"
    index = write_pyramid(as_image(texture(200, 300)), path, tile_size=64, compression=compression)
    said = subprocess.run(["tiffinfo", "-D", str(path)], capture_output=True, text=True, check=True)
    assert "Error" not in said.stderr
    assert said.stdout.count("Tile Width: 64 Tile Length: 64") == len(index.levels)
    # Decoded, since tiffcp would encode JPEG anew, at a quality of its own.
    subprocess.run(["tiffcp", "-c", "none", str(path), str(tmp_path / "copy.tif")], check=True, capture_output=True)
    for page in range(len(index.levels)):
        copy, ours = (tifffile.imread(file, key=page).astype(int) for file in (tmp_path / "copy.tif", path))
        np.testing.assert_allclose(copy, ours, atol=2 if compression == "jpeg" else 0)


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


def test_an_icc_profile_becomes_srgb(tmp_path):
    colours = np.full((32, 32, 3), (180, 90, 60), np.uint8)
    as_image(colours).icc_export(output_profile="p3").pngsave(str(tmp_path / "p3.png"))
    plain = pyvips.Image.pngload(str(tmp_path / "p3.png"))
    assert plain.get_typeof("icc-profile-data")
    assert np.abs(plain.numpy().astype(int) - colours).max() > 10
    index = write_pyramid(tmp_path / "p3.png", tmp_path / "a.tif", tile_size=16, compression="none")
    assert (index.bands, index.dtype) == (3, "uint8")
    np.testing.assert_allclose(tifffile.imread(tmp_path / "a.tif", key=0).astype(int), colours, atol=5)


def test_a_palette_is_expanded(tmp_path):
    palette, rows = bytes([10, 20, 30, 200, 100, 50]), b"".join(b"\0" + bytes([0, 1] * 8) for _ in range(16))
    (tmp_path / "a.png").write_bytes(png(16, 16, 3, rows, palette))
    index = write_pyramid(tmp_path / "a.png", tmp_path / "a.tif", tile_size=16, compression="none")
    assert index.bands == 3
    assert tifffile.imread(tmp_path / "a.tif", key=0)[5, :2].tolist() == [[10, 20, 30], [200, 100, 50]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_any_bands_become_any_others(tmp_path, dtype):
    top = np.iinfo(dtype).max
    grey, colour = texture(40, 50, 1, dtype), texture(40, 50, 3, dtype)
    alpha = np.full_like(grey, top // 2)
    images = {1: as_image(grey), 3: as_image(colour)}
    images |= {
        bands + 1: image.bandjoin(as_image(alpha)).copy(interpretation=image.interpretation)
        for bands, image in list(images.items())
    }
    for have, image in images.items():
        for want in (1, 2, 3, 4):
            path = tmp_path / f"{have}{want}.tif"
            index = write_pyramid(image, path, tile_size=16, compression="deflate", bands=want)
            assert (index.bands, index.dtype) == (want, dtype)
            pixels = tifffile.imread(path, key=0).reshape(40, 50, want)
            if want in (2, 4):
                assert (pixels[..., -1] == (top // 2 if have in (2, 4) else top)).all()
            if have == want:
                np.testing.assert_array_equal(pixels, image.numpy().reshape(40, 50, have))
            if have < 3 <= want:
                np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


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


def test_converting_takes_little_memory(tmp_path):
    # In a process of its own, since a peak of memory cannot be told from those before.
    script = f"""
        import resource, pyvips
        from tfvs.images.tiff.pyramid import write_pyramid
        source, target = {str(tmp_path / "a.jpg")!r}, {str(tmp_path / "a.tif")!r}
        pyvips.Image.xyz(12000, 12000)[0].bandjoin([40, 90]).cast("uchar").copy(interpretation="srgb").jpegsave(source)
        write_pyramid(pyvips.Image.black(600, 600, bands=3).copy(interpretation="srgb"), target)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        index = write_pyramid(source, target)
        assert index.width == 12000
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 200, "the pixels alone are 412 MB"


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
