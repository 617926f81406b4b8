"""Whole slides through OpenSlide, and Aperio's, whose tiles are copied."""

import numpy as np
import pytest
import tifffile

pytest.importorskip("openslide", reason="tfvs[slides] is not installed")

import tfvs.preparation.kept
from tests.corpus.slides import (
    RIM,
    slide_pixels,
    write_aperio,
    write_bif,
    write_dicom,
    write_mrxs,
    write_ndpi,
    write_scn,
    write_vms,
)
from tfvs.data.example import from_example, to_example
from tfvs.data.records import ImageRecord
from tfvs.errors import ImageError
from tfvs.images.crops.vips_reader import VipsReader
from tfvs.images.proxy import ProxyRecipe
from tfvs.images.tiff.tile_index import read_index
from tfvs.preparation.decode import Decoded, Refused, Task, decode
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.slide_parts import with_parts
from tfvs.preparation.slides import LEFT_OUT_IMAGES

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8, channels=3), compression="none", tile_size=64)
WRITERS = {
    "vms": write_vms,
    "ndpi": write_ndpi,
    "scn": write_scn,
    "mrxs": write_mrxs,
    "bif": write_bif,
    "dcm": write_dicom,
}


def run(path, options=OPTIONS):
    target = path.with_name("out") / "p.tif"
    done = decode(Task(str(path), None, str(target), options, "00"))
    if isinstance(done, Refused):
        return done, None
    with tifffile.TiffFile(target) as tiff:
        return done, tiff.pages[0].asarray()


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_slide_is_read_whole(tmp_path, suffix):
    pixels = slide_pixels()
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, pixels)
    done, found = run(path)
    assert isinstance(done, Decoded), done
    if suffix == "scn":
        pixels = np.pad(pixels, ((0, RIM), (0, RIM), (0, 0)), constant_values=255)
    np.testing.assert_allclose(found.astype(int), pixels, atol=5)
    assert done.micrometres_per_px == (pytest.approx(0.5) if suffix not in ("ndpi", "scn") else None)
    assert done.notes == ((LEFT_OUT_IMAGES,) if suffix in ("scn", "vms", "bif") else ())


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_cut_slide_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, slide_pixels())
    pixels = path.with_suffix("") / "Data0000.dat" if suffix == "mrxs" else path
    pixels.write_bytes(pixels.read_bytes()[: pixels.stat().st_size // 2])
    refused, _ = run(path)
    assert isinstance(refused, Refused)
    assert refused.reason


def test_a_slide_made_smaller_is_read_from_a_coarser_level(tmp_path):
    pixels = slide_pixels()
    write_vms(tmp_path / "a.vms", pixels)
    _, found = run(tmp_path / "a.vms", OPTIONS.replace(max_side_px=300))
    assert found.shape == (200, 300, 3)
    place = np.minimum(np.arange(300) * 768 // 300, 767)
    np.testing.assert_allclose(found[100, 5:-5, 0].astype(int), pixels[256, place[5:-5], 0], atol=4)


def test_micrometres_follow_the_size_and_go_into_the_record(tmp_path):
    write_vms(tmp_path / "a.vms", slide_pixels())
    done, _ = run(tmp_path / "a.vms", OPTIONS.replace(max_side_px=384))
    assert done.micrometres_per_px == pytest.approx(1.0)
    record = ImageRecord("a", 0, "00", b"", "a.tif", done.index, done.micrometres_per_px)
    assert from_example(to_example(record)).micrometres_per_px == pytest.approx(1.0)
    none = ImageRecord("a", 0, "00", b"", "a.tif", done.index)
    assert from_example(to_example(none)).micrometres_per_px is None


def test_tiles_of_these_slides_are_no_tiles_of_a_tiff(tmp_path):
    write_ndpi(tmp_path / "a.ndpi", slide_pixels())
    with pytest.raises(ImageError):
        read_index(tmp_path / "a.ndpi")


def test_the_parts_of_a_slide_count_as_its_content(tmp_path):
    write_vms(tmp_path / "a.vms", slide_pixels())
    uri = str(tmp_path / "a.vms")
    first = with_parts(uri, "00")
    assert with_parts(uri, "00") == first != with_parts(uri, "01")
    part = tmp_path / "a_image.jpg"
    part.write_bytes(part.read_bytes()[:-1])
    assert with_parts(uri, "00") != first
    assert with_parts(str(tmp_path / "a.jpg"), "00") == "00"


def test_an_unfinished_pyramid_is_completed_without_decoding_it(tmp_path, monkeypatch):
    """Levels in a step of 4 that end at 576 pixels: they are copied, and coarser ones are added in their encoding."""
    monkeypatch.setattr(tfvs.preparation.kept, "_LARGE_PIXELS", 300_000)
    pixels = np.ascontiguousarray(np.tile(slide_pixels(), (3, 3, 1)))
    levels = [np.ascontiguousarray(pixels[:: 4**k, :: 4**k]) for k in range(2)]
    path = tmp_path / "a.svs"
    write_aperio(path, levels, 0.25)
    done, found = run(path, OPTIONS.replace(max_pixels=pixels.shape[0] * pixels.shape[1] - 1))
    assert isinstance(done, Decoded), done
    with tifffile.TiffFile(path) as tiff:
        np.testing.assert_array_equal(found, tiff.pages[0].asarray())
    sizes = [level[:2] for level in done.index.levels]
    assert sizes[:5] == [(2304, 1536), (576, 384), (288, 192), (144, 96), (72, 48)]
    target = tmp_path / "out" / "p.tif"
    crop = VipsReader(48).read_crops(target, np.array([[0.25, 0.25, 0.5, 0.5]], np.float32))
    assert np.isfinite(crop).all()
    wanted = levels[1].reshape(48, 8, 72, 8, 3).mean((1, 3)) / 255
    by_hand = tifffile.imread(target, key=4).astype(float) / 255
    assert np.abs(by_hand - wanted).mean() < 0.03  # of images that differ, 0.3
    assert done.micrometres_per_px == pytest.approx(0.25)
