"""Thousands of damaged files: refused with an ImageError or read, never a crash, a hang or a blow-up of memory."""

import dataclasses
import resource
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf
import tifffile

from tests.images.pyramids import as_image, features_of, texture
from tfvs.errors import ImageError
from tfvs.images.crops.reader import read_crops
from tfvs.images.reading import read_array
from tfvs.images.tiff.framing import frame
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index

MAX_GROWTH_MB = 600
MAX_SECONDS_PER_FILE = 20  # on a busy machine


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    image = as_image(texture(120, 150))
    made = []
    for suffix in ("jpg", "png", "webp"):
        image.write_to_file(str(folder / f"a.{suffix}"))
        made.append(folder / f"a.{suffix}")
    for compression in ("jpeg", "deflate", "none"):
        made.append(folder / f"{compression}.tif")
        write_pyramid(image, made[-1], tile_size=64, compression=compression)
    for compression in ("jpeg", "deflate"):  # without checksums
        made.append(folder / f"foreign_{compression}.tif")
        tifffile.imwrite(
            made[-1], texture(120, 150), tile=(64, 64), photometric="rgb", byteorder=">", compression=compression
        )
    return made


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Cuts, flips, overwrites, repeats: in the headers more often than elsewhere."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        edge = rng.random()
        low, high = (
            (0, 64) if edge < 0.3 else (max(len(changed) - 800, 0), len(changed)) if edge < 0.6 else (0, len(changed))
        )
        if high - low < 1:
            break
        at = int(rng.integers(low, min(high, len(changed))))
        kind = rng.integers(5)
        if kind == 0:
            changed[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            changed[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\1\0"])
        elif kind == 2:
            changed[at : at + 8] = rng.bytes(8)
        elif kind == 3 and rng.random() < 0.3:
            del changed[at:]
        else:
            changed[at:at] = changed[at : at + int(rng.integers(1, 64))]
    return bytes(changed)


def fuzz(sources, folder, count, seed):
    rng = np.random.default_rng(seed)
    boxes = tf.constant([[[0.1, 0.1, 0.4, 0.4], [0.3, 0.3, 1.0, 1.0]]])
    read = tf.function(
        lambda features, boxes: read_crops(features, boxes, 16, roots=[str(folder)], bands=3), reduce_retracing=True
    )
    good = {path: read_index(path) for path in sources if path.suffix == ".tif"}
    for copies in (1, 2):  # tracing is not what is timed
        read(features_of(*[("none.tif", next(iter(good.values())))] * copies), tf.tile(boxes, [copies, 1, 1]))
    refused = accepted = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        source = sources[number % len(sources)]
        path = folder / f"mutant{source.suffix}"
        path.write_bytes(mutate(source.read_bytes(), rng))
        began = time.monotonic()
        for attempt in (read_array, frame_or_convert):
            try:
                attempt(path)
                accepted += 1
            except ImageError:
                refused += 1
        if source.suffix == ".tif":
            # An index made before the damage, and one made after it where the directories still make sense.
            indices = [good[source]]
            try:
                indices.append(read_index(path))
            except ImageError:
                refused += 1
            features = features_of(*((path.name, index) for index in indices))
            crops, valid, _ = read(features, tf.tile(boxes, [len(indices), 1, 1]))
            assert np.isfinite(crops).all()
            assert not crops.numpy()[~valid.numpy()].any()
        assert time.monotonic() - began < MAX_SECONDS_PER_FILE, f"mutant {number} of {source.name}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MAX_GROWTH_MB, f"{grown:.0f} MB"
    assert refused > count // 4
    assert accepted > count // 20


def frame_or_convert(path):
    target = path.with_name("target.tif")
    if path.suffix == ".tif":
        frame(path, target)
    else:
        write_pyramid(path, target, tile_size=64, max_pixels=10**7)


def test_damaged_files_are_refused_or_read(sources, tmp_path):
    fuzz(sources, tmp_path, 100, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_thousands_of_damaged_files(sources, tmp_path):
    fuzz(sources, tmp_path, 2100, seed=1)


def test_a_deflate_tile_that_expands_without_end(tmp_path):
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, texture(64, 64), tile=(64, 64), photometric="rgb", compression="deflate")
    index = read_index(path)
    bomb = zlib.compress(bytes(64 << 20), 9)
    data = path.read_bytes() + bomb
    path.write_bytes(data)
    index = dataclasses.replace(
        index, file_bytes=len(data), tile_offsets=[len(data) - len(bomb)], tile_bytes=[len(bomb)]
    )
    boxes = tf.constant([[[0.1, 0.1, 0.4, 0.4]]])
    _, valid, _ = read_crops(features_of((path.name, index)), boxes, 16, roots=[str(tmp_path)], bands=3)
    assert not valid.numpy().any()
