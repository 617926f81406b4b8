import io
import os
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from tests.preparation.images import write_png
from tfvs.data.example import ImageRecord
from tfvs.errors import ConfigError, ResourceError
from tfvs.images.proxy import ProxyRecipe
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.preparation.convert import convert
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.sources import Rejected, Source

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=12, width=16), tile_size=32, compression="deflate")


def _convert(path, root, options=OPTIONS, **fields):
    return convert(Source("id", str(path), 3, **fields), options, str(root))


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_pyramid_holds_the_image_and_the_record_says_where(tmp_path):
    path = write_png(tmp_path / "a.png", height=96, width=128)
    record = _convert(path, tmp_path / "pyramids")
    assert (record.image_id, record.label) == ("id", 3)
    assert (record.index.width, record.index.height, record.index.bands) == (128, 96, 1)
    written = pyvips.Image.new_from_file(str(tmp_path / "pyramids" / record.pyramid_uri)).numpy()
    np.testing.assert_array_equal(written.reshape(96, 128), np.asarray(Image.open(path)))
    assert _pixels(record.proxy).shape == (12, 16)


def test_proxy_is_the_whole_image_made_small(tmp_path):
    image = np.zeros([160, 240, 3], np.uint8)
    image[:80, 120:] = (200, 100, 0)
    Image.fromarray(image).save(tmp_path / "a.png")
    options = PrepareOptions(proxy=ProxyRecipe(height=8, width=8, channels=3, kernel="box"), tile_size=32)
    options = options.replace(compression="deflate")
    proxy = _pixels(_convert(tmp_path / "a.png", tmp_path, options).proxy)
    assert proxy.shape == (8, 8, 3)
    np.testing.assert_allclose(proxy[:4, 4:], np.broadcast_to([200, 100, 0], [4, 4, 3]), atol=2)
    assert proxy[4:].max() <= 2
    assert proxy[:, :4].max() <= 2


def test_noise_keeps_few_points_and_repeats(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full([96, 128], 200, np.uint8)).save(path)
    few = OPTIONS.replace(proxy={"keep": 0.05})
    proxy = _pixels(_convert(path, tmp_path, few).proxy)
    assert (proxy > 0).sum() == round(0.05 * 12 * 16)
    np.testing.assert_array_equal(proxy, _pixels(_convert(path, tmp_path, few).proxy))
    noisy = _pixels(_convert(path, tmp_path, OPTIONS.replace(proxy={"noise": 20.0})).proxy)
    assert 12 < noisy.std() < 28


def test_another_image_may_be_the_proxy(tmp_path):
    path = write_png(tmp_path / "a.png")
    Image.fromarray(np.full([20, 20], 77, np.uint8)).save(tmp_path / "p.png")
    record = _convert(path, tmp_path, proxy_uri=str(tmp_path / "p.png"))
    assert (_pixels(record.proxy) == 77).all()
    missing = _convert(path, tmp_path, proxy_uri=str(tmp_path / "none.png"))
    assert isinstance(missing, Rejected)
    assert missing.stage == "proxy"


def test_a_finished_pyramid_is_used_again_and_a_damaged_one_is_not(tmp_path):
    path = write_png(tmp_path / "a.png")
    first = _convert(path, tmp_path / "p")
    file = tmp_path / "p" / first.pyramid_uri
    whole, time = file.read_bytes(), file.stat().st_mtime_ns
    assert _convert(path, tmp_path / "p") == first
    assert file.stat().st_mtime_ns == time
    file.write_bytes(whole[: len(whole) // 2])
    assert _convert(path, tmp_path / "p") == first
    assert file.read_bytes() == whole


def test_pyramids_are_named_by_content_and_options(tmp_path):
    first, same = write_png(tmp_path / "a.png", seed=1), write_png(tmp_path / "b.png", seed=1)
    other = write_png(tmp_path / "c.png", seed=2)
    uri = _convert(first, tmp_path).pyramid_uri
    assert _convert(same, tmp_path).pyramid_uri == uri
    assert _convert(other, tmp_path).pyramid_uri != uri
    assert _convert(first, tmp_path, OPTIONS.replace(tile_size=64)).pyramid_uri != uri
    assert _convert(first, tmp_path, OPTIONS.replace(proxy={"keep": 0.5})).pyramid_uri == uri


def test_large_photographs_are_bounded(tmp_path):
    path = write_png(tmp_path / "a.png", height=100, width=200)
    index = _convert(path, tmp_path, OPTIONS.replace(max_side_px=50)).index
    assert (index.width, index.height) == (50, 25)


@pytest.mark.parametrize(
    ("content", "stage"),
    [(b"", "pyramid"), (b"not an image", "pyramid"), ("truncated", "pyramid"), (None, "read")],
)
def test_bad_images_are_refused_with_a_reason(tmp_path, content, stage):
    path = tmp_path / "bad.png"
    if content == "truncated":
        content = write_png(tmp_path / "whole.png", height=200, width=200).read_bytes()[:9000]
    if content is not None:
        path.write_bytes(content)
    rejected = _convert(path, tmp_path / "p")
    assert isinstance(rejected, Rejected)
    assert rejected.stage == stage
    assert rejected.reason
    assert len(rejected.sha256) == (0 if content is None else 64)
    assert not list((tmp_path / "p").rglob("*.tif"))


def test_oversized_images_are_refused_before_a_pixel_is_read(tmp_path):
    rejected = _convert(write_png(tmp_path / "a.png"), tmp_path, OPTIONS.replace(max_pixels=1000))
    assert "more pixels than allowed" in rejected.reason


def test_a_root_that_cannot_be_written_is_nobodys_image(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        _convert(write_png(tmp_path / "a.png"), tmp_path / "file")


def test_16_bit_tiff_becomes_8_bit_jpeg_tiles(tmp_path):
    deep = pyvips.Image.new_from_array(np.full([80, 90, 3], 30000, np.uint16), interpretation="rgb16")
    deep.tiffsave(str(tmp_path / "a.tif"))
    record = _convert(tmp_path / "a.tif", tmp_path, PrepareOptions(proxy=ProxyRecipe(channels=3), tile_size=32))
    assert isinstance(record, ImageRecord)
    assert (record.index.dtype, record.index.compression) == ("uint8", "jpeg")


@pytest.mark.parametrize(
    "fields",
    [
        {"proxy": {"height": 0}},
        {"proxy": {"channels": 2}},
        {"proxy": {"kernel": "bicubic"}},
        {"proxy": {"keep": 0.0}},
        {"proxy": {"noise": -1.0}},
        {"bands": 2, "compression": "jpeg"},
        {"bands": 5, "compression": "none"},
        {"dtype": "float"},
        {"tile_size": 100},
        {"compression": "lzw"},
        {"dtype": "uint16"},
        {"max_side_px": 0},
        {"max_pixels": 0},
        {"decoder": "thread"},
        {"quality": 0},
    ],
)
def test_impossible_options_are_refused(fields):
    with pytest.raises(ConfigError):
        PrepareOptions.from_dict(fields)


def test_real_photographs_and_raw_files(tmp_path):
    root = Path(os.environ.get("TFVS_TEST_DATA", "")) / "fivek" / "photos"
    if not os.environ.get("TFVS_TEST_DATA") or not root.is_dir():
        pytest.skip("TFVS_TEST_DATA names no folder with fivek/photos")
    for path in root.glob("*.jpg"):
        record = _convert(path, tmp_path, PrepareOptions(proxy=ProxyRecipe(channels=3), max_side_px=2528))
        assert max(record.index.width, record.index.height) <= 2528
        assert _pixels(record.proxy).std() > 5


def test_a_broken_raw_file_is_refused(tmp_path):
    pytest.importorskip("rawpy")
    (tmp_path / "a.dng").write_bytes(b"II*\0" + bytes(100))
    rejected = _convert(tmp_path / "a.dng", tmp_path)
    assert isinstance(rejected, Rejected)
    assert "raw file" in rejected.reason


def test_one_strip_of_more_than_50_mb_is_read(tmp_path):
    image = np.zeros([7100, 7400], np.uint8)  # libvips refuses strips above 50 MB
    image[-1000:, -1000:] = np.arange(1000) % 251
    tifffile.imwrite(tmp_path / "a.tif", image, rowsperstrip=7100)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages[0].dataoffsets) == 1
    record = _convert(tmp_path / "a.tif", tmp_path / "pyramids", OPTIONS.replace(tile_size=512))
    with tifffile.TiffFile(tmp_path / "pyramids" / record.pyramid_uri) as tiff:
        np.testing.assert_array_equal(tiff.pages[0].asarray(), image)


def test_tiles_may_be_far_larger_than_the_levels_that_proxies_need(tmp_path):
    path = write_png(tmp_path / "a.png", height=1500, width=1500)
    small, large = (_convert(path, tmp_path / str(side), OPTIONS.replace(tile_size=side)) for side in (256, 1024))
    assert large.proxy == small.proxy


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = write_png(tmp_path / ("n" * 251 + ".png"), height=96, width=128)
    assert len(path.name.encode()) == os.pathconf(tmp_path, "PC_NAME_MAX")
    record = _convert(path, tmp_path)
    assert (record.index.width, record.index.height) == (128, 96)
    target = tmp_path / ("p" * 251 + ".tif")
    write_pyramid(pyvips.Image.new_from_file(str(path)), target, tile_size=32)
    assert pyvips.Image.new_from_file(str(target)).width == 128
