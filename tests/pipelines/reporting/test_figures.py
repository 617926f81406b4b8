"""The report's figures."""

import io

import numpy as np
import pytest
from PIL import Image

from tfvs.viz import charts


@pytest.mark.parametrize("classes", [2, 30, 200])
def test_figures_of_any_number_of_classes(classes):
    names = [f"class ${i}$ {'x' * (i % 30)}" for i in range(classes)]
    confusion = np.eye(classes) * 3
    confusion[0, 1] = 7
    image = np.asarray(Image.open(io.BytesIO(charts.confusion_figure(confusion, names))).convert("RGB"))
    assert 500 < image.shape[0] < 1800
    other = np.asarray(Image.open(io.BytesIO(charts.confusion_figure(np.eye(classes) * 3, names))).convert("RGB"))
    assert image.shape == other.shape
    assert not np.array_equal(image, other)
