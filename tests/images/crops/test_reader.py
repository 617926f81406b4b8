"""Crops from tiles against crops from decoded levels."""

import dataclasses
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import pyvips
import tensorflow as tf

from tests.images.pyramids import (
    COLOUR,
    CROP,
    ROUNDING,
    as_image,
    crop_of_level,
    decode_level,
    features_of,
    level_sizes,
    random_boxes,
    same_as_levels,
    texture,
    write,
)
from tfvs.data import example
from tfvs.images.crops.dense import read_dense_crops
from tfvs.images.crops.reader import read_crops
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.ops.crop_rule import choose_level


def test_one_batch_mixes_sizes_compressions_and_depths(colour, reader):
    paths = [path for path, _ in colour.values()]
    features = features_of(*((path.name, index) for path, index in colour.values()))
    boxes = random_boxes(np.random.default_rng(1), [size for size, _ in COLOUR.values()], 6)
    crops, valid, tiles, gradients = reader(features, boxes)
    assert valid.numpy().all()
    assert (tiles.numpy() >= 1).all()
    levels = same_as_levels(paths, features, boxes, crops, gradients, subifd=("none",))
    assert set(range(4)) <= set(levels.flat)


def test_a_batch_size_known_of_some_features_alone(root, colour):
    # As batches of padded records come: lists are padded to [32, n], scalars stay [None].
    path, index = next(iter(colour.values()))
    features = features_of((path.name, index), (path.name, index))
    signature = {
        name: tf.TensorSpec([2, None] if value.shape.rank == 2 else [None], value.dtype)
        for name, value in features.items()
    }

    @tf.function(input_signature=[signature])
    def read(features):
        boxes = tf.tile(tf.constant([[[0.1, 0.1, 0.9, 0.9]]]), [2, 1, 1])
        return read_crops(features, boxes, CROP, roots=[str(root)], bands=3)[1]

    assert read(features).numpy().all()


def test_every_level_of_every_file(colour, reader):
    # For each level one box with 1 to 2 of its pixels per sample; coarser ones than any crop needs are left out.
    rng = np.random.default_rng(11)
    for name, (path, index) in colour.items():
        sizes = np.array([(height, width) for width, height, *_ in index.levels])
        sizes = sizes[sizes.max(axis=1) >= CROP]
        sides = CROP * rng.uniform(1.0, 1.9, [len(sizes), 1]) / sizes.max(axis=1, keepdims=True)
        start = rng.uniform(0, 1, [len(sizes), 2]) * (1.2 - sides) - 0.1  # over the border too
        boxes = tf.constant(np.concatenate([start, start + sides], -1)[np.newaxis], tf.float32)
        features = features_of((path.name, index))
        crops, valid, _, gradients = reader(features, boxes)
        assert valid.numpy().all()
        levels = same_as_levels([path], features, boxes, crops, gradients, subifd=("none",))
        assert levels[0].tolist() == list(range(len(sizes))), name


@pytest.mark.parametrize("bands", [2, 4])
def test_two_and_four_bands(root, bands):
    boxes = random_boxes(np.random.default_rng(bands), [(150, 210)] * 4, 3)
    paths, entries = [], []
    for dtype in ("uint8", "uint16"):
        for compression in ("deflate", "none"):
            array = texture(150, 210, bands, dtype)
            deep = dtype == "uint16"
            colour = {2: "grey16" if deep else "b-w", 4: "rgb16" if deep else "srgb"}[bands]
            image = pyvips.Image.new_from_array(array).copy(interpretation=colour)
            name = f"bands_{bands}_{dtype}_{compression}.tif"
            index = write_pyramid(image, root / name, tile_size=64, compression=compression, bands=bands)
            paths.append(root / name)
            entries.append((name, index))
    features = features_of(*entries)
    crops, valid, _ = read_crops(features, boxes, CROP, roots=[str(root)], bands=bands)
    assert valid.numpy().all()
    same_as_levels(paths, features, boxes, crops, None)


def test_one_band_and_margin_zero(root):
    path, index = write(root, "grey", (300, 260), bands=1, compression="deflate", tile_size=64)
    deep, deep_index = write(root, "deep_grey", (300, 260), bands=1, compression="none", tile_size=64)
    jpeg, jpeg_index = write(root, "jpeg_grey", (300, 260), bands=1, compression="jpeg", tile_size=64)
    features = features_of((path.name, index), (deep.name, deep_index), (jpeg.name, jpeg_index))
    boxes = random_boxes(np.random.default_rng(2), [(300, 260)] * 3, 5)
    levels = choose_level(boxes, level_sizes(features), CROP).numpy()
    for margin in (0, 1):
        crops, valid, _ = read_crops(features, boxes, CROP, roots=[str(root)], bands=1, margin_px=margin)
        assert valid.numpy().all()
        for b, file in enumerate((path, deep, jpeg)):
            for t in range(5):
                expected = crop_of_level(decode_level(file, levels[b, t]), boxes[b, t], CROP, margin)
                np.testing.assert_allclose(crops[b, t], expected, atol=ROUNDING)


def test_seams_borders_and_boxes_outside(colour, reader):
    path, index = colour["deflate"]
    features = features_of((path.name, index))
    height, width = 333, 999
    pixels = np.array(
        [
            [64, 128, 88, 152],
            [52, 116, 76, 140],
            [0, 0, 24, 24],
            [309, 975, 333, 999],
            [-12, -12, 12, 12],
            [400, 0, 424, 24],
        ]
    )
    boxes = tf.constant((pixels / [height, width, height, width])[None] + 1e-5, tf.float32)
    crops, valid, _, _ = reader(features, boxes)
    assert valid.numpy().all()
    same_as_levels([path], features, boxes, crops, None)
    assert not crops[0, 5].numpy().any()


def test_each_tile_is_read_once_and_only_those_needed(colour, reader):
    path, index = colour["deflate"]
    box = np.array([70, 70, 94, 94]) / [333, 999, 333, 999]  # within one tile of level 0
    features = features_of((path.name, index), (path.name, index))
    boxes = tf.constant([[box, box], [box, box * 0 + [0.0, 0.0, 24 / 333, 24 / 999]]], tf.float32)
    _, _, tiles, _ = reader(features, boxes)
    assert tiles.numpy().tolist() == [1, 2]


def test_gradients_and_values_of_the_dense_path(root):
    # A side of a power of two: the dense pyramid and the file's have the same levels.
    array = texture(256, 256)
    path = root / "power.tif"
    index = write_pyramid(as_image(array), path, compression="none", tile_size=64)
    boxes = random_boxes(np.random.default_rng(5), [(256, 256)], 12)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(boxes)
        tiled, _, _ = read_crops(features_of((path.name, index)), boxes, CROP, roots=[str(root)], bands=3)
        dense = read_dense_crops(tf.constant(array[None] / np.float32(255)), boxes, CROP, max_level=4)
        losses = [tf.reduce_sum(tf.sin(crops * 3)) for crops in (tiled, dense)]
    # libvips rounds each level to whole grey levels, the dense pyramid keeps fractions.
    np.testing.assert_allclose(tiled, dense, atol=1.01 / 255)
    level0 = np.flatnonzero(choose_level(boxes, tf.constant([[[256, 256], [128, 128], [64, 64]]]), CROP)[0] == 0)
    assert len(level0)
    gradients = [tape.gradient(loss, boxes).numpy()[0, level0] for loss in losses]
    np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-3 * np.abs(gradients[1]).max())


def test_an_index_of_two_hundred_thousand_tiles(root, reader):
    # 100 000 x 100 000 pixels whose tiles are all left out but for the last one of level 0.
    path = root / "corner.tif"
    corner = texture(256, 256)
    stored = write_pyramid(as_image(corner), path, tile_size=256, compression="deflate")
    sides = [100_000 >> level for level in range(17)]
    counts = [(-(-side // 256)) ** 2 for side in sides]
    firsts = np.cumsum([0, *counts])
    offsets, lengths = np.zeros([2, firsts[-1]], np.int64)
    offsets[counts[0] - 1], lengths[counts[0] - 1] = stored.tile_offsets[0], stored.tile_bytes[0]
    index = dataclasses.replace(
        stored,
        width=sides[0],
        height=sides[0],
        levels=[(side, side, 256, 256, int(first)) for side, first in zip(sides, firsts, strict=False)],
        tile_offsets=offsets.tolist(),
        tile_bytes=lengths.tolist(),
    )
    assert firsts[-1] > 200_000
    begin = 256 * (counts[0] ** 0.5 - 1)  # of the last tile, pixels
    pixels = np.array([[begin + 40, begin + 50, begin + 64, begin + 74], [0, 0, 24, 24]])
    crops, valid, tiles, _ = reader(
        features_of(*[(path.name, index)] * 2), tf.constant(np.stack([pixels, pixels]) / sides[0], tf.float32)
    )
    assert valid.numpy().all()
    assert tiles.numpy().tolist() == [1, 1]
    # float32 tells places of 100 000 pixels apart to a hundredth of a pixel.
    np.testing.assert_allclose(crops[0, 0], corner[40:64, 50:74] / np.float32(255), atol=0.02)
    assert not crops[:, 1].numpy().any()


def test_runs_in_fit(root, colour):
    path, index = colour["none"]
    features = features_of(*[(path.name, index)] * 4)

    class Reader(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.corner = self.add_weight(shape=(2,), initializer="zeros", name="corner")

        def call(self, inputs):
            corner = tf.tile(tf.sigmoid(self.corner)[None, None] * 0.5, [tf.shape(inputs["image/width"])[0], 1, 1])
            boxes = tf.concat([corner, corner + 0.2], -1)
            return tf.reduce_mean(read_crops(inputs, boxes, CROP, roots=[str(root)], bands=3)[0], axis=[1, 2, 3, 4])

    model = Reader()
    model.compile("sgd", "mse")
    history = model.fit(tf.data.Dataset.from_tensors((features, tf.zeros([4]))).repeat(3), epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert (np.abs(model.corner.numpy()) > 0).all()


def test_a_saved_model_reads_tiles_in_a_process_without_tfvs(root, colour, tmp_path):
    path, index = colour["deflate"]

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None, 4])])
        def __call__(self, serialized, boxes):
            features = example.parse_examples(serialized, with_label=False)
            return read_crops(features, boxes, CROP, roots=[str(root)], bands=3)

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "model"))
    record = example.to_example(example.ImageRecord("a", 0, "", b"", path.name, index)).SerializeToString()
    boxes = np.array([[[0.1, 0.1, 0.3, 0.2], [0.2, 0.0, 1.0, 0.4]]], np.float32)
    (tmp_path / "record").write_bytes(record)
    np.save(tmp_path / "boxes.npy", boxes)
    script = f"""
        import sys, numpy as np, tensorflow as tf
        model = tf.saved_model.load({str(tmp_path / "model")!r})
        record = open({str(tmp_path / "record")!r}, "rb").read()
        crops, valid, _ = model(tf.constant([record]), tf.constant(np.load({str(tmp_path / "boxes.npy")!r})))
        assert valid.numpy().all() and not any(name.startswith("tfvs") for name in sys.modules)
        np.save({str(tmp_path / "crops.npy")!r}, crops.numpy())
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}
    )
    here = read_crops(features_of((path.name, index)), tf.constant(boxes), CROP, roots=[str(root)], bands=3)[0]
    np.testing.assert_allclose(np.load(tmp_path / "crops.npy"), here, atol=1e-6)
