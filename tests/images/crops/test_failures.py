"""Images that cannot be read, or no longer hold what was indexed: each is invalid by itself."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tifffile

from tests.images.pyramids import CROP, as_image, features_of, same_as_levels, texture
from tfvs.data import example
from tfvs.errors import InputError
from tfvs.images.crops.reader import read_crops, resolve_uris
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index


def broken(root, colour):
    """Name → (uri, index) of images that must fail, each for another reason."""
    path, index = colour["deflate"]
    jpeg_path, jpeg = colour["jpeg"]
    data = bytearray(path.read_bytes())
    for offset, length in zip(index.tile_offsets, index.tile_bytes, strict=True):
        data[offset + 12 + length // 2] ^= 1
    (root / "flipped.tif").write_bytes(data)
    (root / "short.tif").write_bytes(path.read_bytes()[:300])
    (root / "empty.tif").write_bytes(b"")
    change = dataclasses.replace
    return {
        "missing": ("nowhere.tif", index),
        "flipped": ("flipped.tif", index),
        "short": ("short.tif", index),
        "empty": ("empty.tif", index),
        "folder": (".", index),
        "no uri": ("", index),
        "climbs": (f"../{root.name}/{path.name}", index),
        "absolute": ("/etc/passwd", index),
        "scheme": (f"file://{path}", index),
        "offsets off": (path.name, change(index, tile_offsets=[o + 3 for o in index.tile_offsets])),
        "offsets beyond": (path.name, change(index, tile_offsets=[o + 10**9 for o in index.tile_offsets])),
        "offsets negative": (path.name, change(index, tile_offsets=[-1] * len(index.tile_offsets))),
        "lengths off": (path.name, change(index, tile_bytes=[b - 1 for b in index.tile_bytes])),
        "lengths huge": (path.name, change(index, tile_bytes=[2**62] * len(index.tile_bytes))),
        "not a jpeg": (path.name, change(index, compression="jpeg")),
        "not raw": (path.name, change(index, compression="none")),
        "unknown compression": (path.name, change(index, compression="lzw")),
        "unknown dtype": (path.name, change(index, dtype="float32")),
        "deep": (path.name, change(index, dtype="uint16")),
        "bands": (path.name, change(index, bands=1)),
        "other tiles": (path.name, change(index, levels=[(w, h, 128, 64, f) for w, h, _, _, f in index.levels])),
        "huge tiles": (path.name, change(index, levels=[(999, 333, 2**40, 64, 0)])),
        "empty level": (path.name, change(index, levels=[(0, 0, 0, 0, 0)])),
        "tiles not listed": (path.name, change(index, levels=[(999, 333, 64, 64, 10**6)])),
        "no levels": (path.name, change(index, levels=[], tile_offsets=[], tile_bytes=[])),
        "tables lost": (jpeg_path.name, change(jpeg, jpeg_tables=b"")),
        "tables odd": (jpeg_path.name, change(jpeg, jpeg_tables=b"x")),
        "replaced": (colour["predictor"][0].name, index),
    }


def test_bad_images_fail_alone(root, colour, reader):
    path, index = colour["deflate"]
    bad = broken(root, colour)
    entries = [(path.name, index), *bad.values(), (str(path), index)]
    boxes = tf.tile(tf.constant([[[0.1, 0.1, 0.3, 0.2], [0.5, 0.5, 1.0, 0.8]]]), [len(entries), 1, 1])
    crops, valid, _, gradients = reader(features_of(*entries), boxes)
    wrong = [name for name, ok in zip(bad, valid.numpy()[1:-1], strict=True) if ok]
    assert not wrong
    assert valid.numpy()[[0, -1]].all()
    assert not crops.numpy()[1:-1].any()
    assert np.isfinite(gradients).all()
    np.testing.assert_array_equal(crops[0], crops[-1])
    same_as_levels([path], features_of(entries[0]), boxes[:1], crops[:1], None)


@pytest.mark.parametrize("name", ["missing", "flipped", "empty", "folder", "no levels", "not raw"])
def test_a_batch_of_nothing_but_bad_images_ends(root, colour, reader, name):
    boxes = tf.constant([[[0.1, 0.1, 0.3, 0.2]]])
    crops, valid, _, _ = reader(features_of(broken(root, colour)[name]), boxes)
    assert not valid.numpy().any()
    assert not crops.numpy().any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_boxes_that_are_not_finite_make_their_image_invalid(colour, reader, value):
    path, index = colour["none"]
    boxes = tf.constant([[[0.1, 0.1, 0.9, 0.2]], [[value, 0.1, 0.9, 0.2]]], tf.float32)
    crops, valid, _, _ = reader(features_of((path.name, index), (path.name, index)), boxes)
    assert valid.numpy().tolist() == [True, False]
    assert np.isfinite(crops).all()


@pytest.mark.parametrize("compression", ["none", "deflate", "jpeg"])
def test_a_file_replaced_by_one_of_the_same_shape_is_noticed(tmp_path, compression):
    path = tmp_path / "a.tif"
    before, after = texture(200, 300), texture(200, 300)
    after[100, 150] ^= 64  # one pixel of one tile
    index = write_pyramid(as_image(before), path, tile_size=64, compression=compression)
    features, boxes = features_of((path.name, index)), tf.constant([[[0.3, 0.4, 0.7, 0.7]]])
    assert read_crops(features, boxes, CROP, roots=[str(tmp_path)], bands=3)[1].numpy().all()
    write_pyramid(as_image(after), path, tile_size=64, compression=compression)
    crops, valid, _ = read_crops(features, boxes, CROP, roots=[str(tmp_path)], bands=3)
    assert not valid.numpy().any()
    assert not crops.numpy().any()


def test_a_lone_level_refuses_crops_that_are_far_too_coarse(root, reader):
    path = root / "flat.tif"
    tifffile.imwrite(path, texture(600, 600), tile=(64, 64), photometric="rgb")
    boxes = tf.constant([[[0.0, 0.0, 0.3, 0.3]], [[0.0, 0.0, 1.0, 1.0]]])
    _, valid, _, _ = reader(features_of(*[(path.name, read_index(path))] * 2), boxes)
    assert valid.numpy().tolist() == [True, False]  # 7.5 and 25 pixels a sample


def test_unframed_files_are_read_as_they_are_and_checked_by_size(root, reader):
    path = root / "foreign.tif"
    tifffile.imwrite(path, texture(200, 200), tile=(64, 64), photometric="rgb")
    index = read_index(path)
    assert not index.framed
    (root / "foreign_longer.tif").write_bytes(path.read_bytes() + b"!")
    (root / "foreign_shorter.tif").write_bytes(path.read_bytes()[:-1])
    names = ["foreign.tif", "foreign_longer.tif", "foreign_shorter.tif", "foreign_nowhere.tif"]
    boxes = tf.tile(tf.constant([[[0.1, 0.1, 0.3, 0.4]]]), [4, 1, 1])
    crops, valid, _, _ = reader(features_of(*((name, index) for name in names)), boxes)
    assert valid.numpy().tolist() == [True, False, False, False]
    same_as_levels([path], features_of((path.name, index)), boxes[:1], crops[:1], None)


@pytest.mark.parametrize("compression", ["none", "deflate", "jpeg"])
def test_an_unframed_file_replaced_by_one_of_the_same_size_is_noticed(tmp_path, compression):
    path = tmp_path / "a.tif"
    options = {"tile": (64, 64), "photometric": "rgb", "compression": compression}
    tifffile.imwrite(path, texture(200, 300), **options)
    index = read_index(path)
    boxes = tf.constant([[[0.3, 0.4, 0.7, 0.7], [0.0, 0.0, 0.6, 0.6]]])
    replaced = bytearray(path.read_bytes())
    replaced[index.tile_offsets[0] + index.tile_bytes[0] // 2] ^= 1
    features = features_of((path.name, index))
    assert read_crops(features, boxes, CROP, roots=[str(tmp_path)], bands=3)[1].numpy().all()
    path.write_bytes(replaced)
    crops, valid, _ = read_crops(features, boxes, CROP, roots=[str(tmp_path)], bands=3)
    assert not valid.numpy().any()
    assert not crops.numpy().any()
    # Records written before the checksum was kept are read as before.
    old = features_of((path.name, dataclasses.replace(index, file_crc32=0)))
    assert read_crops(old, boxes[:, :1], CROP, roots=[str(tmp_path)], bands=3)[1].numpy().all()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (b"a.tif", b"/data/a.tif"),
        (b"sub/..a/a..tif", b"/data/sub/..a/a..tif"),
        (b"/data/a.tif", b"/data/a.tif"),
        (b"/more/a.tif", b"/more/a.tif"),
        (b"gs://bucket/x/a.tif", b"gs://bucket/x/a.tif"),
        (b"gs://bucket/xy/a.tif", b""),
        (b"/database/a.tif", b""),
        (b"/data/../etc/passwd", b""),
        (b"..", b""),
        (b"a/..", b""),
        (b"../a", b""),
        (b"", b""),
        (b"a\0b", b""),
        (b"file:///data/a.tif", b""),
        (b"ram://a", b""),
    ],
)
def test_paths(uri, path):
    assert resolve_uris(tf.constant([uri]), tf.constant(["/data/", "/more", "gs://bucket/x"])).numpy()[0] == path


def test_arguments_are_checked(colour):
    path, index = colour["none"]
    features = features_of((path.name, index))
    boxes = tf.constant([[[0.0, 0.0, 0.2, 0.2]]])
    for wrong in ({"bands": 5}, {"margin_px": -1}, {"roots": []}, {"roots": "/data"}):
        with pytest.raises(InputError):
            read_crops(features, boxes, CROP, **{"roots": ["/data"], "bands": 3, **wrong})
    del features[example.PYRAMID_LEVELS]
    with pytest.raises(InputError, match="incomplete"):
        read_crops(features, boxes, CROP, roots=["/data"], bands=3)
