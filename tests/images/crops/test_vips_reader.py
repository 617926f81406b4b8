"""The client's reader gives the graph's crops, from many threads and forked children too."""

import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.images.pyramids import as_image, features_of, random_boxes, texture
from tfvs.errors import ImageError, InputError
from tfvs.images.crops.reader import read_crops
from tfvs.images.crops.vips_reader import VipsReader
from tfvs.images.tiff.pyramid import write_pyramid


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("vips")
    made = {}
    for name, shape, options in (
        ("jpeg.tif", (300, 410, 3, "uint8"), {"tile_size": 128}),
        ("deep.tif", (300, 410, 3, "uint16"), {"compression": "deflate", "subifd": True, "tile_size": 64}),
        ("none.tif", (333, 210, 3, "uint8"), {"compression": "none", "tile_size": 64}),
        ("large_tiles.tif", (290, 400, 3, "uint8"), {"compression": "deflate", "tile_size": 512}),
    ):
        made[name] = write_pyramid(as_image(texture(*shape)), root / name, **options), shape[:2]
    return root, made


def test_the_same_crops_as_the_graph(files):
    root, made = files
    reader = VipsReader(24, root=root)
    boxes = random_boxes(np.random.default_rng(0), [size for _, size in made.values()], 8)
    features = features_of(*((name, index) for name, (index, _) in made.items()))
    crops, valid, _ = read_crops(features, boxes, 24, roots=[str(root)], bands=3)
    assert valid.numpy().all()
    for b, name in enumerate(made):
        np.testing.assert_allclose(reader.read_crops(name, boxes[b].numpy()), crops[b], atol=1 / 255)


def test_threads_share_a_reader(files):
    root, _ = files
    reader = VipsReader(24, root=root, max_open=1)
    boxes = random_boxes(np.random.default_rng(1), [(300, 410)] * 16, 2).numpy()
    names = ["jpeg.tif", "none.tif"] * 8
    expected = [reader.read_crops(name, box) for name, box in zip(names, boxes, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(expected, pool.map(reader.read_crops, names, boxes), strict=True):
            np.testing.assert_array_equal(one, other)


def test_no_more_pyramids_stay_open_than_allowed(files, tmp_path):
    root, _ = files
    for number in range(6):
        (tmp_path / f"{number}.tif").write_bytes((root / "none.tif").read_bytes())
    reader, box = VipsReader(24, root=tmp_path, max_open=2), np.array([[0.1, 0.1, 0.3, 0.3]])
    for number in [*range(6), 0]:
        reader.read_crops(f"{number}.tif", box)
    gc.collect()
    opened = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert {os.path.basename(path) for path in opened if path.startswith(f"{tmp_path}/")} <= {"5.tif", "0.tif"}


def _child(root, queue):
    queue.put(VipsReader(24, root=root).read_crops("none.tif", np.array([[0.1, 0.1, 0.3, 0.3]])))


def test_a_spawned_child_reads(files):
    root, _ = files
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_child, args=(root, queue))
    child.start()
    crops = queue.get(timeout=200)
    child.join()
    np.testing.assert_array_equal(crops, VipsReader(24, root=root).read_crops("none.tif", [[0.1, 0.1, 0.3, 0.3]]))


def _read_in_child(reader, box, connection):
    connection.send(reader.read_crops("jpeg.tif", box))
    connection.close()


def test_forked_children_of_a_parent_that_has_read_read_too(files):
    # In a process of its own, since the threads of TensorFlow do not survive a fork: only libvips is asked to.
    root, _ = files
    script = f"""
        import multiprocessing, numpy as np
        from tests.images.crops.test_vips_reader import _read_in_child
        from tfvs.images.crops.vips_reader import VipsReader
        reader, box = VipsReader(24, root={str(root)!r}), np.array([[0.1, 0.1, 0.9, 0.8], [0.2, 0.3, 0.4, 0.5]])
        expected = reader.read_crops("jpeg.tif", box)
        context = multiprocessing.get_context("fork")
        for _ in range(3):
            here, there = context.Pipe(duplex=False)
            child = context.Process(target=_read_in_child, args=(reader, box, there), daemon=True)
            child.start()
            assert here.poll(60), "the child hangs"
            np.testing.assert_array_equal(here.recv(), expected)
            child.join(60)
        np.testing.assert_array_equal(reader.read_crops("jpeg.tif", box), expected)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]


def test_replaced_files_are_noticed_and_bad_ones_named(files, tmp_path):
    path = tmp_path / "a.tif"
    reader = VipsReader(24)
    box = np.array([[0.1, 0.1, 0.4, 0.4]])
    write_pyramid(as_image(texture(100, 100)), path, compression="none", tile_size=64)
    before = reader.read_crops(path, box)
    write_pyramid(as_image(texture(100, 100, seed=9)), path, compression="none", tile_size=64)
    os.utime(path, (1, 1))
    assert np.abs(reader.read_crops(path, box) - before).max() > 0.1
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ImageError):
        reader.read_crops(path, box)
    with pytest.raises(ImageError, match="no such"):
        reader.read_crops(tmp_path / "b.tif", box)
    with pytest.raises(InputError):
        reader.read_crops(path, np.zeros([4]))
    with pytest.raises(InputError):
        VipsReader(0)
    with pytest.raises(ImageError, match="outside"):
        VipsReader(24, root=files[0]).read_crops("../x.tif", box)
