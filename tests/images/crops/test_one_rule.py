"""One crop rule: every reader cuts the crops that the NumPy statement of the rule cuts, whatever the box."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import pyvips
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.images.pyramids import decode_level, features_of, texture
from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images.crops.cut import LARGE_CROP
from tfvs.images.crops.local import PlainLevels, cut_crops
from tfvs.images.crops.vips_reader import VipsReader
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.layers import LocalizedSpatialTransformer, SpatialTransformer
from tfvs.ops.crop_rule import MAX_PITCH, numpy_crop, numpy_level

# Name → height, width, bands, dtype and how it is written; levels have odd sides, and tiles do not divide them.
IMAGES = {
    "grey": ((173, 260, 1, "uint8"), {"compression": "deflate", "tile_size": 64}),
    "two": ((140, 90, 2, "uint8"), {"compression": "none", "tile_size": 32}),
    "colour": ((231, 150, 3, "uint8"), {"compression": "deflate", "predictor": True, "tile_size": 64}),
    "four": ((90, 331, 4, "uint8"), {"compression": "none", "tile_size": 48}),
    "deep_grey": ((210, 211, 1, "uint16"), {"compression": "none", "tile_size": 64, "subifd": True}),
    "deep": ((97, 300, 3, "uint16"), {"compression": "deflate", "predictor": True, "tile_size": 32}),
    "small": ((9, 14, 3, "uint8"), {"compression": "none", "tile_size": 16}),
}
COLOURS = {("uint8", 1): "b-w", ("uint8", 2): "b-w", ("uint16", 1): "grey16", ("uint16", 3): "rgb16"}


class Pyramid(NamedTuple):
    """An image, its pyramid, the levels as the file has them, levels of exact means and of means rounded half up."""

    pixels: np.ndarray
    image: pyvips.Image
    path: Path
    index: TileIndex
    stored: list[np.ndarray]
    exact: list[np.ndarray]
    rounded: list[np.ndarray]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Every image, by name."""
    root, made = tmp_path_factory.mktemp("rule"), {}
    for name, ((height, width, bands, dtype), options) in IMAGES.items():
        pixels = texture(height, width, bands, dtype)
        image = pyvips.Image.new_from_array(pixels).copy(interpretation=COLOURS.get((dtype, bands), "srgb"))
        path = root / f"{name}.tif"
        index = write_pyramid(image, path, bands=bands, **options)
        stored = [decode_level(path, k, options.get("subifd", False)) for k in range(len(index.levels))]
        exact = [(pixels / np.float32(np.iinfo(dtype).max)).astype(np.float32)]
        while min(exact[-1].shape[:2]) >= 2:
            height, width = (side // 2 for side in exact[-1].shape[:2])
            exact.append(exact[-1][: 2 * height, : 2 * width].reshape(height, 2, width, 2, bands).mean((1, 3)))
        made[name] = Pyramid(pixels, image, path, index, stored, exact, rounded_levels(pixels))
    return root, made


def rounded_levels(pixels):
    """Means over 2 x 2 pixels, rounded half up at each level, in [0, 1]."""
    levels = [pixels.astype(np.int64)]
    while min(levels[-1].shape[:2]) >= 2:
        height, width = (side // 2 for side in levels[-1].shape[:2])
        even = levels[-1][: 2 * height, : 2 * width]
        levels.append((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2] + 2) // 4)
    return [level.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max) for level in levels]


@st.composite
def boxes(draw):
    """Tiny to three times the image, square or not, from within to wholly outside, now and then back to front."""

    def edges():
        side = 10 ** draw(st.floats(-2.5, 0.5))
        start = draw(st.floats(-1.2 * side - 0.1, 1.1 + 0.2 * side))
        return (start, start + side) if draw(st.integers(0, 9)) else (start + side, start)

    (y0, y1), (x0, x1) = edges(), edges()
    return [y0, x0, y1, x1]


def by_rule(levels, drawn, size, margin, max_level):
    sizes = np.array([level.shape[:2] for level in levels])

    def read(level, window):
        y0, x0, y1, x1 = window
        assert 0 <= y0 < y1 <= sizes[level][0], window
        assert 0 <= x0 < x1 <= sizes[level][1], window
        return levels[level][y0:y1, x0:x1]

    crops = [numpy_crop(read, sizes, box, size, margin_px=margin, max_level=max_level) for box in drawn]
    return np.stack(crops), max(numpy_level(box, sizes, size, max_level)[1] for box in drawn)


@functools.cache
def tiles_reader(size, margin, max_level, root, channels):
    """Traced once for each rule and number of channels."""
    layer = LocalizedSpatialTransformer(size, margin_px=margin, max_level=max_level)
    return tf.function(
        lambda features, boxes: layer(features, boxes, roots=[root], channels=channels), reduce_retracing=True
    )


# Small and large crops are made in two ways: each with every number of bands. A graph is traced for each number.
@pytest.mark.parametrize(
    ("size", "margin", "max_level", "bands"),
    [
        (32, 0, None, (1, 3)),
        (LARGE_CROP + 5, 1, None, (1, 4)),
        (7, 100, None, (2, 4)),
        (32, 1, 0, (2, 3)),
        (LARGE_CROP + 5, 0, 1, (2, 3)),
    ],
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_reader_cuts_the_crops_of_the_rule(images, size, margin, max_level, bands, data):
    root, made = images
    bands = data.draw(st.sampled_from(bands))
    names = [name for name, ((_, _, count, _), _) in IMAGES.items() if count == bands]
    drawn = np.array([data.draw(st.lists(boxes(), min_size=3, max_size=3)) for _ in names], np.float32)
    features = features_of(*((made[name].path.name, made[name].index) for name in names))
    tiles = tiles_reader(size, margin, max_level, str(root), bands)(features, tf.constant(drawn))
    for number, name in enumerate(names):
        in_memory_agrees(made[name], drawn[number], size, margin, max_level)
        from_file_agrees(
            made[name], drawn[number], size, margin, max_level, tiles.crops[number], bool(tiles.valid[number])
        )


def in_memory_agrees(image, drawn, size, margin, max_level):
    """The graph's two layers on a dense image, and the client on an ordinary one."""
    expected, _ = by_rule(image.exact, drawn, size, margin, max_level)
    inputs, in_graph = tf.constant(image.exact[0][np.newaxis]), tf.constant(drawn[np.newaxis])
    localized = LocalizedSpatialTransformer(size, margin_px=margin, max_level=max_level)
    np.testing.assert_allclose(localized(inputs, in_graph)[0], expected, atol=1e-5)
    if margin >= 1:
        whole = SpatialTransformer(size, max_level=max_level)
        np.testing.assert_allclose(whole(inputs, in_graph)[0], expected, atol=1e-5)
    # Levels of images of whole grey levels are rounded, one after the other.
    rounded, _ = by_rule(image.rounded, drawn, size, margin, max_level)
    whole_pixels = tf.constant(image.pixels[np.newaxis])
    np.testing.assert_allclose(localized(whole_pixels, in_graph)[0], rounded, atol=1e-5)
    if margin >= 1:
        np.testing.assert_allclose(whole(whole_pixels, in_graph)[0], rounded, atol=1e-5)
    by_client = cut_crops(PlainLevels(image.image), drawn, size, margin_px=margin, max_level=max_level)
    np.testing.assert_allclose(by_client, rounded, atol=1e-5)


def from_file_agrees(image, drawn, size, margin, max_level, crops, valid):
    """The graph's reader of tiles, and the client's reader of pyramids."""
    assert [level.shape for level in image.stored] == [level.shape for level in image.exact]
    expected, pitch = by_rule(image.stored, drawn, size, margin, max_level)
    reader = VipsReader(size, margin_px=margin, max_level=max_level)
    if pitch > MAX_PITCH:
        assert not valid
        with pytest.raises(ImageError, match="coarse enough"):
            reader.read_crops(image.path, drawn)
        return
    assert valid
    np.testing.assert_allclose(crops, expected, atol=2e-4 if size >= LARGE_CROP else 1e-5)
    np.testing.assert_allclose(reader.read_crops(image.path, drawn), expected, atol=1e-5)
    # With an alpha band, libvips weights the means of a pyramid's levels by it; without one they are the means above.
    if image.pixels.shape[-1] in (1, 3):
        in_memory, _ = by_rule(image.rounded, drawn, size, margin, max_level)
        np.testing.assert_allclose(expected, in_memory, atol=1.01 / np.iinfo(image.pixels.dtype).max)
