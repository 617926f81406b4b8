"""What a margin of 0 loses: where a crop enlarges its box, a part of its border; elsewhere nothing."""

import numpy as np
import pytest

from benchmarks.margins import CROP_PX, compare

NOISE = np.random.default_rng(0).integers(0, 256, (300, 50, 50)).astype(np.uint8)


@pytest.mark.parametrize(
    ("width_px", "margin_px", "differs"), [(10, 0, True), (20, 0, True), (40, 0, False), (20, 1, False), (40, 1, False)]
)
def test_only_enlarged_crops_without_a_margin_differ(width_px, margin_px, differs):
    found = compare(NOISE, width_px, margin_px, np.random.default_rng(1))
    if differs:
        # The region is of whole pixels. A border's samples lie half a sample inside the box, and need the pixel before
        # it where that is less than half a pixel inside the region; then one row or column of the crop differs.
        edges = 0.5 - width_px / CROP_PX / 2
        border = 4 * edges / CROP_PX - 4 * edges**2 / CROP_PX**2
        assert found["pixels"] == pytest.approx(border, rel=0.1)
        assert found["gradient"] > 0.05
    else:
        assert found["pixels"] == 0.0
        assert found["gradient"] < 1e-5
