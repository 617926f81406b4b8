"""Sparse pyramids, held to what libvips writes of the same image and reads of the file."""

import os
from dataclasses import replace

import numpy as np
import pytest
import pyvips
import tensorflow as tf

from tests.images.pyramids import features_of
from tfvs.errors import InputError
from tfvs.images.crops.reader import read_crops
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.sparse import SparseImage, write_sparse_pyramid
from tfvs.images.tiff.tile_index import read_index


def make(height, width, tile_size, seed=0):
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (7, 20, 20), np.uint8)
    corners = random.integers((height - 19, width - 19), size=(7, 2))
    corners[-1] = height - 20, width - 20
    canvas = np.zeros((height, width), np.uint8)
    for (top, left), patch in zip(corners, patches, strict=True):
        canvas[top : top + 20, left : left + 20] = patch
    return SparseImage.from_patches(height, width, tile_size, patches, corners), canvas


def assert_is_index_of(index, path):
    """Equal to what the file says, but for blank tiles, which are all one there and none here."""
    found = read_index(path)
    present = np.array(index.tile_bytes) > 0
    places = zip(found.tile_offsets, found.tile_bytes, strict=True)
    blank = {place for place, there in zip(places, present, strict=True) if not there}
    assert len(blank) <= 1
    offsets = np.where(present, found.tile_offsets, 0).tolist()
    assert replace(found, tile_offsets=offsets, tile_bytes=(present * found.tile_bytes).tolist()) == index


@pytest.mark.parametrize(("height", "width", "tile_size"), [(300, 301, 32), (299, 217, 48), (96, 64, 16)])
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_levels_are_those_of_libvips(tmp_path, height, width, tile_size, compression):
    image, canvas = make(height, width, tile_size)
    np.testing.assert_array_equal(image.dense(), canvas)
    index = write_sparse_pyramid(image, tmp_path / "sparse.tif", compression=compression)
    write_pyramid(pyvips.Image.new_from_array(canvas), tmp_path / "whole.tif", tile_size=tile_size, compression="none")
    assert_is_index_of(index, tmp_path / "sparse.tif")
    for page in range(len(index.levels)):
        sparse, whole = (
            pyvips.Image.new_from_file(str(tmp_path / name), page=page, fail_on="warning").numpy()
            for name in ("sparse.tif", "whole.tif")
        )
        np.testing.assert_array_equal(sparse, whole)
    assert os.listdir(tmp_path).count("sparse.tif") == 1
    assert len(os.listdir(tmp_path)) == 2


def test_blank_tiles_are_left_out_and_read_as_zeros(tmp_path):
    image, canvas = make(300, 400, 32)
    index = write_sparse_pyramid(image, tmp_path / "s.tif")
    present = sum(size > 0 for size in index.tile_bytes[: index.levels[1][4]])
    assert present == len(image.tiles) < 10 * 13 / 2
    windows = [[0, 0, 40, 40], [260, 360, 300, 400], [100, 50, 140, 90]]
    boxes = np.array([windows]) / [300, 400, 300, 400]
    crops, valid, _ = read_crops(
        features_of(("s.tif", index)), tf.constant(boxes, tf.float32), 40, roots=[str(tmp_path)], bands=1
    )
    assert valid.numpy().tolist() == [True]
    for crop, (y0, x0, y1, x1) in zip(crops[0].numpy(), windows, strict=True):
        np.testing.assert_allclose(crop[..., 0], canvas[y0:y1, x0:x1] / 255, atol=1e-4)


def test_image_of_nothing(tmp_path):
    blank = SparseImage(100, 100, 32, {})
    index = write_sparse_pyramid(blank, tmp_path / "b.tif")
    assert_is_index_of(index, tmp_path / "b.tif")
    assert not any(index.tile_bytes)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(InputError, match="leaves the image"):
        SparseImage.from_patches(50, 50, 32, np.ones((1, 20, 20), np.uint8), np.array([[31, 0]]))
    image, _ = make(64, 64, 32)
    with pytest.raises(InputError, match="jpeg"):
        write_sparse_pyramid(image, tmp_path / "x.tif", compression="jpeg")
    with pytest.raises(InputError, match="20 px"):
        write_sparse_pyramid(SparseImage(64, 64, 20, {}), tmp_path / "x.tif")
    assert os.listdir(tmp_path) == []
