"""Photographs that a camera stored on their side or upside down, too tall to be turned while they stream."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.corpus.case import turned
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.decode import Decoded, Task, decode
from tfvs.preparation.options import PrepareOptions

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), compression="none", tile_size=64)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_every_orientation_is_upright(tmp_path, orientation, suffix):
    y, x = np.mgrid[:1100, :700]
    pixels = np.stack([y // 5, x // 4, (x + y) // 8], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    path, target = tmp_path / f"a.{suffix}", tmp_path / "p.tif"
    if suffix == "tif":
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    else:
        lossless = {"quality": 98, "subsampling": 0} if suffix == "jpg" else {}
        Image.fromarray(pixels).save(path, exif=exif.tobytes(), **lossless)
    decoded = decode(Task(str(path), None, str(target), OPTIONS, "00"))
    assert isinstance(decoded, Decoded), decoded
    upright = turned(pixels, orientation)
    with tifffile.TiffFile(target) as tiff:
        found = tiff.pages[0].asarray()
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).max() <= (4 if suffix == "jpg" else 0)


@pytest.mark.parametrize("orientation", [1, 6])
def test_16_bit_images_keep_their_depth_when_they_are_made_smaller(tmp_path, orientation):
    y, x = np.mgrid[:600, :1000]
    pixels = np.stack([60 * x, 100 * y, 30 * (x + y)], -1).astype(np.uint16)
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=tag)
    options = OPTIONS.replace(max_side_px=250)
    decoded = decode(Task(str(tmp_path / "a.tif"), None, str(tmp_path / "p.tif"), options, "00"))
    assert isinstance(decoded, Decoded), decoded
    wanted = turned(pixels.reshape(150, 4, 250, 4, 3).mean((1, 3)), orientation)
    with tifffile.TiffFile(tmp_path / "p.tif") as tiff:
        found = tiff.pages[0].asarray()
    assert (found.dtype, found.shape) == (np.uint16, wanted.shape)
    assert np.abs(found[5:-5, 5:-5] - wanted[5:-5, 5:-5]).max() < 40  # of 65 535; 8 bits would be 128 off
