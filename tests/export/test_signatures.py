from __future__ import annotations

import numpy as np
import pyvips

from tests.export.saccaders import picture
from tfvs.export.signatures import _luminance


def test_grey_proxies_are_grey_as_libvips_makes_them():
    pixels = picture(40, 60, seed=5)
    wanted = pyvips.Image.new_from_array(pixels, interpretation="srgb").colourspace("b-w").numpy()
    found = _luminance(pixels.astype(np.float32) / np.float32(255)).numpy()[..., 0] * 255
    assert np.abs(found - wanted.reshape(40, 60)).max() < 2.0
