"""Camera raw files through LibRaw itself: DNGs as a camera writes them, a Bayer mosaic and its description."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("rawpy", reason="tfvs[raw] is not installed")

from tfvs.errors import ImageError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import Job
from tfvs.preparation.local import run_local
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.raw import open_raw
from tfvs.preparation.readers import make_reader

# Colour matrix of a camera whose primaries are sRGB's: XYZ → linear sRGB.
XYZ_TO_CAMERA = (3.2404542, -1.5371385, -0.4985314, -0.969266, 1.8760108, 0.041556, 0.0556434, -0.2040259, 1.0572252)
RED, BLUE = (40000, 12000, 6000), (4000, 12000, 40000)


# By suffix: maker and model as LibRaw knows them, and the bits that their sensors lack of 16.
CAMERAS = {
    "nef": ("NIKON CORPORATION", "NIKON D700", 2),
    "cr2": ("Canon", "Canon EOS 5D", 4),
    "arw": ("SONY", "DSLR-A900", 4),
    "pef": ("PENTAX", "PENTAX K-5", 2),
    "srw": ("SAMSUNG", "NX1", 2),
}


def mosaic_of(linear: np.ndarray) -> np.ndarray:
    """``[H, W, 3]`` → what a sensor sees behind its RGGB filter, ``[H, W]``."""
    mosaic = linear[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = linear[0::2, 0::2, 0], linear[1::2, 1::2, 2]
    return mosaic


def write_camera_file(path: Path, linear: np.ndarray) -> Path:
    """A camera's own format, as far as all makers agree: a TIFF of an uncompressed mosaic that names the camera."""
    make, model, missing = CAMERAS[path.suffix[1:]]
    tags = [
        (271, 2, 0, make, True),
        (272, 2, 0, model, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),
    ]
    tifffile.imwrite(path, mosaic_of(linear) >> missing, photometric="cfa", extratags=tags, metadata=None)
    return path


def write_dng(path: Path, linear: np.ndarray, orientation: int = 1) -> Path:
    """``[H, W, 3]`` uint16, linear light → DNG with an RGGB mosaic."""
    matrix = [number for value in XYZ_TO_CAMERA for number in (round(value * 10**7), 10**7)]
    byte, text, short, long, rational, signed_rational = 1, 2, 3, 4, 5, 10
    tags = [
        (271, text, 0, "Testmaker", True),
        (272, text, 0, "Bayer 1", True),
        (274, short, 1, orientation, True),
        (33421, short, 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, byte, 4, bytes([0, 1, 1, 2]), True),  # CFAPattern
        (50706, byte, 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50708, text, 0, "Testmaker Bayer 1", True),  # UniqueCameraModel
        (50717, long, 1, 65535, True),  # WhiteLevel
        (50721, signed_rational, 9, matrix, True),  # ColorMatrix1
        (50728, rational, 3, [1, 1, 1, 1, 1, 1], True),  # AsShotNeutral
        (50778, short, 1, 21, True),  # CalibrationIlluminant1: D65
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, mosaic_of(linear), photometric="cfa", extratags=tags, metadata=None)
    return path


def two_colours(height: int = 96, width: int = 128) -> np.ndarray:
    """Red, with a blue upper right quarter."""
    image = np.full([height, width, 3], RED, np.uint16)
    image[: height // 2, width // 2 :] = BLUE
    return image


def test_a_raw_file_becomes_srgb(tmp_path):
    image = open_raw(str(write_dng(tmp_path / "a.dng", two_colours())))
    pixels = image.numpy()
    assert pixels.shape == (96, 128, 3)
    assert (pixels.dtype, image.interpretation) == (np.uint8, "srgb")
    for row, column, brighter, darker in ((70, 20, 0, 2), (70, 100, 0, 2), (20, 20, 0, 2), (20, 100, 2, 0)):
        assert pixels[row, column, brighter] > pixels[row, column, darker] + 80


@pytest.mark.parametrize("suffix", CAMERAS)
def test_cameras_own_formats_are_developed(tmp_path, suffix):
    path = write_camera_file(tmp_path / f"a.{suffix}", two_colours(400, 600))
    pixels = open_raw(str(path)).numpy().astype(int)
    assert pixels.shape[0] == 400
    assert 590 < pixels.shape[1] <= 600  # LibRaw cuts the sensor's rim off
    red, blue = pixels[300, 100], pixels[50, 500]
    assert red[0] - red[2] > 100
    assert blue[2] - blue[0] > 100


def test_the_cameras_orientation_is_applied(tmp_path):
    pixels = open_raw(str(write_dng(tmp_path / "a.dng", two_colours(), orientation=6))).numpy()
    assert pixels.shape == (128, 96, 3)  # a quarter turn to the right: the blue quarter is at the lower right
    assert pixels[100, 80, 2] > pixels[100, 80, 0] + 80
    assert pixels[20, 80, 0] > pixels[20, 80, 2] + 80


def test_a_truncated_raw_file_is_refused(tmp_path):
    path = write_dng(tmp_path / "a.dng", two_colours())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match="raw file"):
        open_raw(str(path))


def test_the_original_archive_is_prepared(tmp_path):
    root = tmp_path / "in" / "fivek_dataset"
    names = ["a0001-jmac_DSC1459", "a0002-dgw_005"]
    for name in names:
        write_dng(root / "raw_photos" / "HQa1to700" / "photos" / f"{name}.dng", two_colours())
    (root / "categories.txt").write_text(f"{names[0]},outdoor,day,sun_sky,nature\n{names[1]},indoor,day,mixed,nature\n")
    (root / "filesAdobe.txt").write_text("\n".join(names))
    (root / "filesAdobeMIT.txt").write_text("")
    options = PrepareOptions(proxy=ProxyRecipe(height=8, width=8, channels=3), tile_size=32, max_side_px=64)
    job = Job(make_reader("fivek", str(tmp_path / "in")), options, f"{tmp_path}/r", f"{tmp_path}/p")
    manifest = run_local(job, workers=1)
    assert (manifest["written"], manifest["largest_width_height"]) == (2, [64, 48])
    # Two files of the same bytes are one pyramid.
    assert len(list((tmp_path / "p").rglob("*.tif"))) == 1
