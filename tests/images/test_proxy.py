from __future__ import annotations

import io
import time

import numpy as np
import pytest
import pyvips
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfvs.errors import ImageError
from tfvs.images import reading
from tfvs.images.proxy import (
    KERNELS,
    ProxyRecipe,
    encode_png,
    halve,
    make_proxy,
    make_proxy_in_graph,
    proxy_from_other_image,
    proxy_from_pyramid,
)
from tfvs.images.tiff.pyramid import write_pyramid

PILLOW = {
    "box": Image.Resampling.BOX,
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}
RECIPES = st.builds(
    ProxyRecipe,
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    kernel=st.sampled_from(sorted(KERNELS)),
    grey=st.sampled_from(["linear_light", "luma"]),
)


def blocks(height: int, width: int, bands: int, dtype: type, seed: int) -> np.ndarray:
    """Random blocks of pixels over noise: edges and flat parts."""
    random = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    coarse = random.integers(0, top + 1, [-(-height // 7), -(-width // 5), bands])
    pixels = np.repeat(np.repeat(coarse, 7, axis=0), 5, axis=1)[:height, :width]
    return (pixels * 0.8 + random.integers(0, top // 5, pixels.shape)).astype(dtype)


def opened(pixels: np.ndarray) -> pyvips.Image:
    return reading.normalize(pyvips.Image.new_from_array(pixels), bands=pixels.shape[-1])


@given(
    height=st.integers(1, 400),
    width=st.one_of(st.integers(1, 400), st.integers(1000, 3000)),
    bands=st.sampled_from([1, 3]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    recipe=RECIPES,
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_an_image_its_pyramid_and_the_graph_have_the_same_proxy(
    height, width, bands, dtype, recipe, seed, tmp_path_factory
):
    pixels = blocks(height, width, bands, dtype, seed)
    image = opened(pixels)
    path = tmp_path_factory.mktemp("pyramid") / "a.tif"
    whole = make_proxy(image, recipe).astype(int)
    index = write_pyramid(image, path, tile_size=64, compression="deflate", bands=bands)
    top = int(np.iinfo(dtype).max)
    graph = make_proxy_in_graph(tf.constant(pixels / np.float32(top), tf.float32), recipe, levels=top)
    np.testing.assert_array_equal(proxy_from_pyramid(path, index, recipe), whole)
    assert np.abs(graph.numpy() * 255 - whole).max() <= 1


@pytest.mark.parametrize("kernel", sorted(KERNELS))
@pytest.mark.parametrize("size", [(71, 89), (47, 113), (19, 21), (5, 107)])
def test_the_kernel_is_pillows_in_floating_point(kernel, size):
    pixels = blocks(*size, 1, np.uint8, seed=3)
    plane = Image.fromarray(pixels[..., 0].astype(np.float32))
    wanted = np.asarray(plane.resize((33, 25), PILLOW[kernel])).clip(0, 255).round()
    found = make_proxy(opened(pixels), ProxyRecipe(height=25, width=33, kernel=kernel))[..., 0]
    assert np.abs(found - wanted).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_halves_are_the_levels_that_libvips_writes(dtype, tmp_path):
    image = opened(blocks(203, 150, 3, dtype, seed=1))
    image.tiffsave(str(tmp_path / "a.tif"), tile=True, pyramid=True, tile_width=16, tile_height=16)
    for page in range(1, 4):
        image = halve(image)
        written = pyvips.Image.tiffload(str(tmp_path / "a.tif"), page=page)
        np.testing.assert_array_equal(image.numpy(), written.numpy())


def test_grey_is_what_libvips_makes_of_colour():
    pixels = blocks(40, 40, 3, np.uint8, seed=5)
    wanted = opened(pixels).colourspace("b-w").numpy()
    found = make_proxy(opened(pixels), ProxyRecipe(height=40, width=40, kernel="box"))[..., 0]
    assert np.abs(found.astype(int) - wanted.reshape(40, 40)).max() <= 1


def test_a_flat_image_stays_flat_however_long_it_is():
    for kernel in KERNELS:
        image = (pyvips.Image.black(90_000, 7) + 77).cast("uchar").copy(interpretation="b-w")
        assert (make_proxy(image, ProxyRecipe(kernel=kernel)) == 77).all()


def test_another_image_is_reduced_while_its_jpeg_is_decoded(tmp_path):
    pixels = np.asarray(Image.fromarray(blocks(40, 40, 3, np.uint8, 4)).resize((1600, 1600), Image.Resampling.BICUBIC))
    opened(pixels).jpegsave(str(tmp_path / "a.jpg"), Q=95)
    recipe = ProxyRecipe(channels=3)
    reduced = proxy_from_other_image(tmp_path / "a.jpg", recipe).astype(int)
    assert np.abs(reduced - make_proxy(opened(pixels), recipe)).max() <= 3


def test_noise_and_dropped_pixels_repeat_with_their_seed():
    image = opened(blocks(64, 64, 1, np.uint8, seed=2))
    recipe = ProxyRecipe(noise=20.0, keep=0.5)
    first = make_proxy(image, recipe, seed="abc123")
    np.testing.assert_array_equal(first, make_proxy(image, recipe, seed="abc123"))
    assert (first != make_proxy(image, recipe, seed="abc124")).any()
    assert (first == 0).sum() >= 32 * 32 // 2


def test_what_an_image_alone_does_not_tell_is_an_obstacle():
    assert ProxyRecipe().obstacle() == ""
    for changes in ({"noise": 1.0}, {"keep": 0.5}):
        assert "noise" in ProxyRecipe(**changes).obstacle()
    assert "other images" in ProxyRecipe(source="other_image").obstacle()


def test_samples_of_another_kind_are_refused():
    with pytest.raises(ImageError, match="proxy cannot be made"):
        make_proxy(pyvips.Image.black(5, 5).cast("float"), ProxyRecipe())


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_every_value(channels):
    pixels = np.random.default_rng(0).integers(0, 256, [5, 9, channels], np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


def test_a_large_proxy_costs_no_more_than_its_pixels() -> None:
    """Rows and columns one after the other: both at once took minutes of the processor."""
    image = pyvips.Image.black(1360, 800, bands=3).cast("uchar")
    began = time.process_time()
    assert make_proxy(image, ProxyRecipe(height=200, width=340, channels=3)).shape == (200, 340, 3)
    assert time.process_time() - began < 10.0
