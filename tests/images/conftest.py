"""Pyramids of every kind, written once for all tests of this folder."""

import pytest
import tensorflow as tf

from tests.images.pyramids import COLOUR, CROP, write
from tfvs.images.crops.reader import read_crops


@pytest.fixture(scope="package")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("pyramids")


@pytest.fixture(scope="package")
def colour(root):
    return {name: write(root, name, size, **options) for name, (size, options) in COLOUR.items()}


@pytest.fixture(scope="package")
def reader(root):
    """One traced function for the whole folder: crops, validity, tiles and the gradient of a sum of squares."""

    @tf.function(reduce_retracing=True)
    def run(features, boxes):
        with tf.GradientTape() as tape:
            tape.watch(boxes)
            crops, valid, tiles = read_crops(features, boxes, CROP, roots=[str(root)], bands=3)
            loss = tf.reduce_sum(crops**2)
        return crops, valid, tiles, tape.gradient(loss, boxes)

    return run
