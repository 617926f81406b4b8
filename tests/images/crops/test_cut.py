"""Crops large enough to be cut out of a region in one piece."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.images.pyramids import COLOUR, features_of, random_boxes, same_as_levels
from tfvs.images.crops.cut import LARGE_CROP
from tfvs.images.crops.reader import read_crops


def test_large_crops_are_cut_in_one_piece_with_the_same_values_and_gradients(root, colour):
    size = 100
    names = ["chroma", "deflate", "deep", "none"]
    assert size >= LARGE_CROP
    features = features_of(*((colour[name][0].name, colour[name][1]) for name in names))
    boxes = random_boxes(np.random.default_rng(8), [COLOUR[name][0] for name in names], 3)
    pixels = np.array([[-30, -40, 120, 110], [20, 30, 120, 130], [64, 128, 214, 278]])  # over a corner; whole pixels
    more = np.stack([pixels / np.array([*COLOUR[name][0]] * 2) for name in names])
    boxes = tf.concat([boxes, tf.constant(more, tf.float32)], 1)
    for margin in (0, 1):
        with tf.GradientTape() as tape:
            tape.watch(boxes)
            crops, valid, _ = read_crops(features, boxes, size, roots=[str(root)], bands=3, margin_px=margin)
            loss = tf.reduce_sum(crops**2)
        assert valid.numpy().all()
        paths, gradients = [colour[name][0] for name in names], tape.gradient(loss, boxes)
        # Values are rounded otherwise, and so is the gradient of their squares.
        same_as_levels(paths, features, boxes, crops, gradients, ("none",), margin, gradient_tolerance=1e-3)


def test_large_crops_at_the_pixels_of_the_image_are_shifted_pieces_of_it(root, colour):
    size, names, random = 100, ["chroma", "deep", "none"], np.random.default_rng(3)
    for fraction in (0.0, 0.25, 0.998, None):
        boxes = []
        for name in names:
            sides = np.array(COLOUR[name][0])
            start = random.integers(-20, sides - size + 20, [6, 2])  # some reach over the edge
            start[:2] = [[0, 0], sides - size]
            start = start + (random.random([6, 2]) if fraction is None else fraction)
            boxes.append(np.concatenate([start, start + size], 1) / np.tile(sides, 2))
        boxes = tf.constant(np.stack(boxes), tf.float32)
        features = features_of(*((colour[name][0].name, colour[name][1]) for name in names))
        crops, valid, _ = read_crops(features, boxes, size, roots=[str(root)], bands=3)
        assert valid.numpy().all()
        same_as_levels([colour[name][0] for name in names], features, boxes, crops, None, ("none",))


@pytest.mark.parametrize("size", [24, 100])
def test_boxes_far_outside_are_blank_or_refused_and_spoil_nothing(root, colour, size):
    path, index = colour["deflate"]
    far = 3e38
    boxes = [[0.1, 0.1, 0.3, 0.3], [far, 0, far, 0.1], [far] * 4, [far, far, -far, -far], [1e35, 0, 1e35, 0.1]]
    boxes = tf.constant(boxes)[:, tf.newaxis]
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        crops, valid, _ = read_crops(
            features_of(*[(path.name, index)] * len(boxes)), boxes, size, roots=[str(root)], bands=3
        )
    assert valid.numpy().tolist() == [True, True, True, False, True]
    assert crops[0].numpy().any()
    assert not crops[1:].numpy().any()
    assert np.isfinite(tape.gradient(crops, boxes)).all()


@pytest.mark.parametrize("alone", [True, False])
def test_large_crops_of_images_of_which_no_tile_is_read(root, colour, alone):
    path, index = colour["jpeg"]
    sparse = dataclasses.replace(index, tile_bytes=[0] * len(index.tile_bytes))
    good = (colour["deflate"][0].name, colour["deflate"][1])  # with smaller tiles
    box = [0.1, 0.1, 0.6, 0.7]
    for entry, expected in (
        ((path.name, dataclasses.replace(index, bands=1)), False),
        (("nowhere.tif", index), False),
        ((path.name, sparse), True),
    ):
        entries = [entry] if alone else [good, entry]
        boxes = tf.constant([[box, box]] * len(entries))
        crops, valid, _ = read_crops(features_of(*entries), boxes, 100, roots=[str(root)], bands=3)
        assert valid.numpy().tolist() == ([expected] if alone else [True, expected])
        assert not crops[-1].numpy().any()
        assert alone or crops[0].numpy().any()
