"""Megapixel MNIST as pyramids and records: the pixels, labels and proxies of the canvases."""

import numpy as np
import pytest
import pyvips
import tensorflow as tf

from tests.images.tiff.test_sparse import assert_is_index_of
from tfvs.data.dataset import read_manifest, read_records
from tfvs.data.example import from_example
from tfvs.datasets.megapixel_pyramids import MegapixelPyramidConfig, write
from tfvs.datasets.pyramid_records import record_files
from tfvs.errors import ConfigError, DataError
from tfvs.images.proxy import proxy_from_pyramid

pytest.importorskip("sklearn")
CONFIG = MegapixelPyramidConfig(height=300, width=300, num_noise=8, proxy_px=30)


def read(folder, split, count):
    records = read_records(record_files(folder, split, count)).as_numpy_iterator()
    return [from_example(tf.train.Example.FromString(record)) for record in records]


def test_pyramids_and_records_are_those_of_the_canvases(tmp_path):
    config = CONFIG.replace(proxy_px=36, tile_size=32)
    write(tmp_path, config, {"train": 3, "eval": 0, "test": 1})
    for split, count in (("train", 3), ("test", 1)):
        for index, record in enumerate(read(tmp_path, split, count)):
            canvas = config.canvas(split, index)
            path = tmp_path / "pyramids" / record.pyramid_uri
            np.testing.assert_array_equal(pyvips.Image.new_from_file(str(path)).numpy(), canvas.image)
            assert_is_index_of(record.index, path)
            assert (record.label, record.image_id) == (canvas.label, f"{split}-{index:06d}")
            proxy = tf.io.decode_png(record.proxy).numpy()
            recipe = read_manifest(record_files(tmp_path, split, count)).proxy
            np.testing.assert_array_equal(proxy, proxy_from_pyramid(path, record.index, recipe))


def test_goes_on_and_grows(tmp_path):
    write(tmp_path, CONFIG, {"train": 130})
    first, second = record_files(tmp_path, "train", 130)
    times = [(tmp_path / "records" / name).stat().st_mtime_ns for name in (first, second)]
    write(tmp_path, CONFIG, {"train": 140})
    grown = record_files(tmp_path, "train", 140)
    assert grown[0] == first
    assert (tmp_path / "records" / first).stat().st_mtime_ns == times[0]
    assert len(read(tmp_path, "train", 140)) == 140
    assert [record.image_id for record in read(tmp_path, "train", 100)][::99] == ["train-000000", "train-000099"]


def test_bad_input_is_named(tmp_path):
    write(tmp_path, CONFIG, {"train": 2})
    with pytest.raises(DataError, match="another configuration"):
        write(tmp_path, CONFIG.replace(proxy_px=31), {"train": 2})
    write(tmp_path, CONFIG.replace(proxy_px=31), {"train": 1}, overwrite=True)
    assert len(read(tmp_path, "train", 1)) == 1
    with pytest.raises(DataError, match="record files of 7 images"):
        record_files(tmp_path, "train", 7)
    with pytest.raises(ConfigError, match="proxy"):
        CONFIG.replace(proxy_px=301)
