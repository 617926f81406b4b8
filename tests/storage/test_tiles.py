"""Tiles out of object storage: the pixels of a disk, in one round trip, none asked for twice, whatever fails."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.relay import RunningRelay, round_trips, running_relay
from tests.images.pyramids import COLOUR, CROP, features_of, random_boxes, write
from tests.storage.reaching import reach
from tfvs.data.records import TileIndex
from tfvs.errors import ResourceError
from tfvs.images.crops.reader import TileCrops, read_crops
from tfvs.images.crops.remote import told_plainly
from tfvs.preparation import files
from tfvs.storage import tiles
from tfvs.storage.objects import RefusedError
from tfvs.storage.tiles import Tile, Wanted, tile_cache

ROOT = "s3://bucket/pyramids [1]"
LOOKS = 5


@pytest.fixture(scope="module")
def pyramids(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, TileIndex]:
    root = tmp_path_factory.mktemp("pyramids")
    return dict(write(root, name, size, **options) for name, (size, options) in list(COLOUR.items())[::2])


@pytest.fixture
def stored(pyramids: dict[Path, TileIndex], reached: RunningRelay) -> RunningRelay:
    for path in pyramids:
        files.upload(str(path), f"{ROOT}/{path.name}")
    reached.forget()
    return reached


@functools.cache
def reader(folder: str) -> Callable[..., TileCrops]:
    """One traced function, for images in the storage and on the disk."""
    return tf.function(lambda features, boxes: read_crops(features, boxes, CROP, roots=[ROOT, folder], bands=3))


def read(pyramids: dict[Path, TileIndex], seed: int = 0, *, local: bool = False) -> TileCrops:
    features = features_of(*((str(path) if local else path.name, index) for path, index in pyramids.items()))
    boxes = random_boxes(np.random.default_rng(seed), [COLOUR[path.stem][0] for path in pyramids], LOOKS)
    return reader(str(next(iter(pyramids)).parent))(features, boxes)


def on_disk(pyramids: dict[Path, TileIndex], seed: int = 0) -> TileCrops:
    return read(pyramids, seed, local=True)


def test_pixels_are_those_of_a_disk_in_one_round_trip(
    server: str, pyramids: dict[Path, TileIndex], stored: RunningRelay, tmp_path: Path
) -> None:
    # With the delay no request ends before all have begun, however busy the machine is.
    with running_relay(server, tmp_path / "log", delay_ms=500) as slow:
        reach(s3_endpoint_url=slow.url)
        crops, valid, tiles_read = read(pyramids)
        requests = slow.requests()
    assert valid.numpy().all()
    np.testing.assert_array_equal(crops, on_disk(pyramids).crops)
    assert round_trips(requests) == 1
    assert {request["method"] for request in requests} == {"GET"}, "nothing is asked about an object before it is read"
    assert len(requests) < int(tf.reduce_sum(tiles_read)), "neighbouring tiles come by one request"

    reach()
    read(pyramids)
    reach(timeout_s=9.0)  # another cache in the same folder, as another process has it
    np.testing.assert_array_equal(read(pyramids).crops, crops)
    assert stored.requests() == [], "what is held is not asked for again"


def test_a_damaged_file_of_the_cache_is_asked_for_again(
    pyramids: dict[Path, TileIndex], stored: RunningRelay, tmp_path: Path
) -> None:
    before = read(pyramids).crops
    for path in (tmp_path / "cache").rglob("*.tiles"):
        data = bytearray(path.read_bytes())
        data[len(data) - 40] ^= 1  # in the last tile that is held
        path.write_bytes(data)
    reach(timeout_s=9.0)
    stored.forget()
    np.testing.assert_array_equal(read(pyramids).crops, before)
    assert stored.requests()


def test_the_cache_stays_below_its_size(
    pyramids: dict[Path, TileIndex], stored: RunningRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "CALLS_IN_USE", 1)
    reach(cache_gb=2e-4)
    for path, index in pyramids.items():
        wanted = [Tile(*tile) for tile in zip(index.tile_offsets, index.tile_bytes, strict=True)]
        assert tile_cache().hold([Wanted(f"{ROOT}/{path.name}", index.file_bytes, wanted)]) != [""]
    held = [path.stat().st_blocks * 512 for path in (tmp_path / "cache").rglob("*.tiles")]
    assert sum(held) - max(held) <= 2e5, "beyond it lies at most what is in use"
    np.testing.assert_array_equal(read(pyramids).crops, on_disk(pyramids).crops)


def test_an_image_that_is_lost_is_named_and_the_others_are_read(
    pyramids: dict[Path, TileIndex], stored: RunningRelay, caplog: pytest.LogCaptureFixture
) -> None:
    gone, swapped = list(pyramids)[1:3]
    files.delete([f"{ROOT}/{gone.name}"])
    files.upload(str(gone), f"{ROOT}/{swapped.name}")
    with caplog.at_level(logging.WARNING, "tfvs.storage"):
        crops, valid, _ = read(pyramids)
    lost = [path not in (gone, swapped) for path in pyramids]
    np.testing.assert_array_equal(valid, lost)
    np.testing.assert_array_equal(crops, np.where(valid[:, None, None, None, None], on_disk(pyramids).crops, 0.0))
    assert set(tile_cache().lost) == {f"{ROOT}/{gone.name}", f"{ROOT}/{swapped.name}"}
    assert gone.name in caplog.text


def test_faults_change_no_pixel(
    server: str, pyramids: dict[Path, TileIndex], stored: RunningRelay, tmp_path: Path
) -> None:
    faults = {"fail": 0.15, "stall": 0.03, "cut": 0.15, "stall_s": 30, "seed": 2}
    with running_relay(server, tmp_path / "log", **faults) as faulty:
        reach(s3_endpoint_url=faulty.url, timeout_s=1.0)
        for seed in range(3):
            crops, valid, _ = read(pyramids, seed)
            assert valid.numpy().all()
            np.testing.assert_array_equal(crops, on_disk(pyramids, seed).crops)
        assert {request["fault"] for request in faulty.requests()} >= {"fail", "cut", None}


def test_a_refusal_ends_it_with_its_own_sentence(
    server: str, pyramids: dict[Path, TileIndex], stored: RunningRelay, tmp_path: Path
) -> None:
    with running_relay(server, tmp_path / "log", status=403) as refusing:
        reach(s3_endpoint_url=refusing.url)
        with pytest.raises(RefusedError, match=r"refuses the request.*403 AccessDenied"), told_plainly():
            read(pyramids)


def test_no_room_is_one_sentence(pyramids: dict[Path, TileIndex], stored: RunningRelay, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the cache's folder should be")
    reach(cache_folder=str(tmp_path / "file"))
    with pytest.raises(ResourceError, match="cannot be kept on this machine"), told_plainly():
        read(pyramids)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], capture_output=True).returncode:
        pytest.skip("no disk of a size can be mounted here, which takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_under_the_cache_changes_no_pixel(
    pyramids: dict[Path, TileIndex], stored: RunningRelay, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reach(cache_folder=str(small_disk))
    for seed in (0, 0, 1, 2):
        crops, valid, _ = read(pyramids, seed)
        assert valid.numpy().all()
        np.testing.assert_array_equal(crops, on_disk(pyramids, seed).crops)
    assert caplog.text.count("is full") == 1
    files_open = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    assert any("memfd:tiles" in path for path in files_open)
    (small_disk / "others").write_bytes(b"")
    with contextlib.suppress(OSError):
        (small_disk / "others").write_bytes(bytes(1 << 20))  # not a byte is left
    crops, valid, _ = read(pyramids, 3)
    assert valid.numpy().all()
    np.testing.assert_array_equal(crops, on_disk(pyramids, 3).crops)
