"""Crops of one large image and of a batch: latency and bytes, beside libvips and beside the JPEG decode alone.

Run by ``python -m benchmarks.scale`` in processes of its own: ``python -m benchmarks.scale_reading single|batch
PYRAMID``, after ``scale_index``. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pyvips
import tensorflow as tf

from benchmarks.scale_index import stored_features, stored_index
from tfvs.data.example import TileIndex
from tfvs.images.crops.plan import make_plan
from tfvs.images.crops.reader import read_crops, resolve_uris
from tfvs.images.crops.source import read_tiles
from tfvs.images.tiff.frames import HEADER_BYTES

STEPS = 4
CROP = 224
BATCH = 32
WARM_UP = 8
# Whole decoding beyond it would fill the memory.
MAX_DECODED_SIDE = 10_000


class Region(NamedTuple):
    """What one crop needs of one level, pixels."""

    level: int
    left: int
    top: int
    width: int
    height: int


class Spent(NamedTuple):
    """Milliseconds that a call took."""

    wall: float
    cpu: float


def draw_boxes(index: TileIndex, count: int, crop: int, seed: int) -> np.ndarray:
    """``[count, STEPS, 4]`` square boxes anywhere, at any level that the image is large enough for, pitch in [1, 2)."""
    rng = np.random.default_rng(seed)
    side = index.width
    coarsest = int(np.log2(side / (2 * crop)))
    level = np.floor(rng.uniform(0, coarsest + 1, (count, STEPS, 1)))
    scale = rng.uniform(1.0, 2.0, (count, STEPS, 1)) * crop * 2**level / side
    start = rng.uniform(0, 1, (count, STEPS, 2)) * (1 - scale)
    return np.concatenate([start, start + scale], -1).astype(np.float32)


def region_of(index: TileIndex, box: np.ndarray, crop: int) -> Region:
    """The pixels that the box itself covers, of the level that the reader chooses."""
    sizes = np.array([(height, width) for width, height, *_ in index.levels], np.float64)
    pitch = ((box[2:] - box[:2]) * sizes).max(axis=1) / crop
    level = max(int((pitch >= 1).sum()) - 1, 0)
    height, width = sizes[level]
    top, left = int(box[0] * height), int(box[1] * width)
    bottom, right = min(int(np.ceil(box[2] * height)), int(height)), min(int(np.ceil(box[3] * width)), int(width))
    return Region(level, left, top, right - left, bottom - top)


def tiles_of(index: TileIndex, region: Region) -> list[int]:
    """Numbers of the tiles that a region overlaps."""
    width, _, tile_width, tile_height, first = index.levels[region.level]
    across = -(-width // tile_width)
    rows = range(region.top // tile_height, (region.top + region.height - 1) // tile_height + 1)
    columns = range(region.left // tile_width, (region.left + region.width - 1) // tile_width + 1)
    return [first + row * across + column for row in rows for column in columns]


def timed(call: Callable[[int], object], count: int, before: Callable[[], object] | None = None) -> list[Spent]:
    """What each call takes; it is given its number."""
    found = []
    for number in range(count):
        if before is not None:
            before()
        began, busy = time.perf_counter(), time.process_time()
        call(number)
        found.append(Spent((time.perf_counter() - began) * 1e3, (time.process_time() - busy) * 1e3))
    return found


def percentiles(found: Sequence[Spent]) -> dict[str, float]:
    """Median and 99th percentile of the time, and the median of what all threads together worked, ms."""
    wall, work = zip(*found, strict=True)
    p50, p99 = np.percentile(wall, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "cpu_p50_ms": round(_median(work), 3)}


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def forget(path: Path) -> None:
    """Drops the file from the page cache."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_asked() -> int:
    """Bytes that this process has read through system calls, cached or not."""
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])


def open_and_crop(path: str, region: Region) -> np.ndarray:
    """What a client without an index does: opens the level, cuts, decodes."""
    image = pyvips.Image.tiffload(path, page=region.level, access="random")
    return image.crop(region.left, region.top, region.width, region.height).numpy()


def single(path: Path, count: int, crop: int) -> dict[str, Any]:
    """One image, T = 4: the reader's latency and what it reads, beside libvips and the decode of the tiles alone."""
    features, index, roots = stored_features(path), stored_index(path), [str(path.parent)]
    read = tf.function(lambda boxes: read_crops(features, boxes, crop, roots=roots, bands=3))
    boxes = tf.constant(draw_boxes(index, count, crop, seed=1))[:, tf.newaxis]
    streams = [streams_of(path, index, one.numpy(), crop) for one in boxes]
    for number in range(WARM_UP):
        read(boxes[number % count])
    figures: dict[str, Any] = {"side_px": index.width, "crop_px": crop, "file_mb": round(index.file_bytes / 1e6, 1)}
    figures["crops"] = percentiles(timed(lambda i: read(boxes[i]), count))
    some = min(count, 30)
    figures["crops_uncached"] = percentiles(timed(lambda i: read(boxes[i]), some, before=lambda: forget(path)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decode = partial(tf.io.decode_jpeg, channels=3)
        figures["jpeg_decode_alone"] = percentiles(timed(lambda i: list(pool.map(decode, streams[i])), count))
    figures.update(what_is_read(index, boxes, crop, read))
    figures.update(single_by_vips(path, index, boxes.numpy()[:, 0], crop))
    return figures


def what_is_read(index: TileIndex, boxes: tf.Tensor, crop: int, read: Callable[[tf.Tensor], Any]) -> dict[str, Any]:
    """Tiles and bytes per image, as the kernel counts them, beside the tiles that the crops overlap."""
    regions = [[region_of(index, box, crop) for box in crops] for crops in boxes.numpy()[:, 0]]
    overlapped = [[tile for region in crops for tile in tiles_of(index, region)] for crops in regions]
    before = bytes_asked()
    tiles = [int(read(one)[2][0]) for one in boxes]
    asked = (bytes_asked() - before) / len(regions)
    needed = sum(index.tile_bytes[tile] for crops in overlapped for tile in crops) / len(regions)
    return {
        "tiles_read": round(float(np.mean(tiles)), 2),
        "tiles_overlapped": round(float(np.mean([len(crops) for crops in overlapped])), 2),
        "kb_read": round(asked / 1e3, 1),
        "kb_overlapped": round(needed / 1e3, 1),
        "bytes_ratio": round(asked / needed, 3),
    }


def single_by_vips(path: Path, index: TileIndex, boxes: np.ndarray, crop: int) -> dict[str, Any]:
    """The same crops' regions by libvips, and the whole image."""
    pyvips.cache_set_max(0)  # else the second opening is none
    regions = [[region_of(index, box, crop) for box in crops] for crops in boxes]
    opened = timed(lambda i: [open_and_crop(str(path), region) for region in regions[i]], len(regions))
    levels = [pyvips.Image.tiffload(str(path), page=level, access="random") for level in range(len(index.levels))]
    handles = [pyvips.Region.new(level) for level in levels]

    def fetch(number: int) -> None:
        for level, *window in regions[number]:
            handles[level].fetch(*window)

    fetched = timed(fetch, len(regions))
    figures = {"vips_open_crop": percentiles(opened), "vips_warm_fetch": percentiles(fetched)}
    if index.width <= MAX_DECODED_SIDE:
        whole = timed(lambda _: pyvips.Image.tiffload(str(path), access="sequential").copy_memory(), 3)
        figures["whole_decode"] = percentiles(whole)
    return figures


def batch(path: Path, count: int, crop: int) -> dict[str, Any]:
    """32 images, 4 crops each, in turns with libvips and with decoding the same tiles from memory."""
    index = stored_index(path)
    names = [f"{path.stem}.{number}.tif" for number in range(BATCH)]
    for name in names:
        if not (path.parent / name).exists():
            os.link(path, path.parent / name)
    features, roots = stored_features(path, names), [str(path.parent)]
    boxes = draw_boxes(index, count * BATCH, crop, seed=2).reshape(count, BATCH, STEPS, 4)
    read = tf.function(lambda boxes: read_crops(features, boxes, crop, roots=roots, bands=3))

    @tf.function
    def plan(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        made = make_plan(features, boxes, crop, resolve_uris(features["pyramid/uri"], tf.constant(roots)), 3, 1)
        return made.requested, made.valid

    @tf.function
    def tiles(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        made = make_plan(features, boxes, crop, resolve_uris(features["pyramid/uri"], tf.constant(roots)), 3, 1)
        return read_tiles(made.requests, 3)

    pyvips.cache_set_max(0)
    streams = [streams_of(path, index, boxes[i], crop) for i in range(count)]
    jobs = [
        [(str(path.parent / name), region_of(index, box, crop)) for name, crops in zip(names, boxes[i], strict=True)
         for box in crops] for i in range(count)
    ]  # fmt: skip
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ways: dict[str, Callable[[int], object]] = {
            "crops": lambda i: read(boxes[i]),
            "plan": lambda i: plan(boxes[i]),
            "plan_and_tiles": lambda i: tiles(boxes[i]),
            "vips_open_crop": lambda i: [open_and_crop(*job) for job in jobs[i]],
            "vips_open_crop_threads": lambda i: list(pool.map(lambda job: open_and_crop(*job), jobs[i])),
            "jpeg_decode_alone": lambda i: list(pool.map(partial(tf.io.decode_jpeg, channels=3), streams[i])),
        }
        times: dict[str, list[Spent]] = {name: [] for name in ways}
        for number in range(count):
            for name, way in ways.items():
                if number == 0:
                    way(0)
                times[name] += timed(lambda _, way=way, number=number: way(number), 1)  # type: ignore[misc]
    figures: dict[str, Any] = {name: percentiles(found) for name, found in times.items()}
    figures["tiles"] = round(float(np.mean([len(one) for one in streams])), 1)
    for kind in ("p50_ms", "cpu_p50_ms"):
        best = min(figures[way][kind] for way in ("vips_open_crop", "vips_open_crop_threads"))
        alone = figures["jpeg_decode_alone"][kind]
        figures[f"ratios_{kind}"] = {
            "crops / vips_open_crop": round(figures["crops"][kind] / best, 3),
            "crops / jpeg_decode_alone": round(figures["crops"][kind] / alone, 3),
            "plan_and_tiles / jpeg_decode_alone": round(figures["plan_and_tiles"][kind] / alone, 3),
        }
    figures["side_px"], figures["crop_px"] = index.width, crop
    return figures


def streams_of(path: Path, index: TileIndex, boxes: np.ndarray, crop: int) -> list[bytes]:
    """JPEG streams of the tiles that ``[B, T, 4]`` boxes overlap, each once per image: the least a reader decodes."""
    data, head = np.memmap(path, np.uint8, "r"), index.jpeg_tables[:-2] or b"\xff\xd8"
    streams = []
    for crops in boxes:
        for tile in sorted({tile for box in crops for tile in tiles_of(index, region_of(index, box, crop))}):
            start = index.tile_offsets[tile] + HEADER_BYTES
            streams.append(head + data[start + 2 : start + index.tile_bytes[tile]].tobytes())
    return streams


@click.command()
@click.argument("what", type=click.Choice(["single", "batch"]))
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--count", default=100, show_default=True, help="Number of requests, or of batches.")
@click.option("--crop", default=CROP, show_default=True, help="Side of a crop, pixels.")
def main(what: str, path: Path, count: int, crop: int) -> None:
    """Measures one thing and prints it as JSON."""
    click.echo(json.dumps({"single": single, "batch": batch}[what](path.absolute(), count, crop)))


if __name__ == "__main__":
    main()
