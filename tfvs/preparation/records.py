"""Shards of records: gzipped TFRecords whose bytes depend on the images alone, not on runner or order."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from tfvs.data.layout import split_folder
from tfvs.images.tiff.frames import frame_header, masked_crc
from tfvs.preparation import files


@dataclass(frozen=True)
class Entry:
    """One record on its way into a shard.

    Attributes:
      image_id: What a shard is sorted by.
      label: For the histogram.
      width: Pixels, for the manifest.
      height: Pixels, for the manifest.
      kind: Bands and dtype of the pyramid, such as ``"3 x uint8"``, for the manifest.
      example: The serialized Example.
      other_proxy: Whether the proxy was made from another image.
    """

    image_id: str
    label: int
    width: int
    height: int
    kind: str
    example: bytes
    other_proxy: bool = False


@dataclass(frozen=True)
class Shard:
    """A shard that was written.

    Attributes:
      root: Folder that it was written into.
      split: Its split.
      path: Relative to that folder, and later to the records' root.
      count: Records.
      labels: Records per class index.
      file_bytes: Size of the file.
      sha256: SHA-256 digest of the file.
      pixels: Sum of the images' pixels.
      largest: Width and height of the image with the most pixels.
      other_proxies: Records whose proxies were made from other images.
      kinds: Records per bands and dtype.
    """

    root: str
    split: str
    path: str
    count: int
    labels: dict[int, int]
    file_bytes: int
    sha256: str
    pixels: int
    largest: tuple[int, int]
    other_proxies: int
    kinds: dict[str, int]


def bucket_of(image_id: str, salt: str, buckets: int) -> int:
    """Where an id falls among equal buckets; the same on every machine and in every run."""
    digest = hashlib.sha256(f"{salt}\0{image_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % buckets


def split_of(image_id: str, weights: dict[str, int]) -> str:
    """The split of an image, by its id alone.

    >>> split_of("a0001", {"train": 8, "eval": 1, "test": 1})
    'eval'
    """
    position = bucket_of(image_id, "split", sum(weights.values()))
    for name, weight in weights.items():
        if position < weight:
            return name
        position -= weight
    raise ValueError(f"No weights: {weights}")


def shard_path(split: str, number: int, shards: int) -> str:
    """Where TFX looks for a split's records, relative to the records' root."""
    return f"{split_folder(split)}/data_tfrecord-{number:05d}-of-{shards:05d}.gz"


def write_shard(root: str, split: str, number: int, shards: int, entries: Iterable[Entry]) -> Shard:
    """Writes one shard, sorted by id; it appears whole or not at all."""
    ordered = sorted(entries, key=lambda entry: entry.image_id)
    path = shard_path(split, number, shards)
    with files.atomic_write(files.join(root, *path.split("/"))) as file:
        sink = _GzipSink(file)
        for entry in ordered:
            sink.write(frame_header(len(entry.example)) + entry.example)
            sink.write(masked_crc(entry.example).to_bytes(4, "little"))
        sink.finish()
    largest = max(ordered, key=lambda entry: entry.width * entry.height)
    return Shard(
        root=root,
        split=split,
        path=path,
        count=len(ordered),
        labels=dict(sorted(Counter(entry.label for entry in ordered).items())),
        file_bytes=sink.file_bytes,
        sha256=sink.sha256,
        pixels=sum(entry.width * entry.height for entry in ordered),
        largest=(largest.width, largest.height),
        other_proxies=sum(entry.other_proxy for entry in ordered),
        kinds=dict(sorted(Counter(entry.kind for entry in ordered).items())),
    )


class _GzipSink:
    """Gzip without name and time in its header, so that equal records give equal files."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
        self._digest = hashlib.sha256()
        self.file_bytes = 0

    def write(self, data: bytes) -> None:
        self._put(self._compressor.compress(data))

    def finish(self) -> None:
        self._put(self._compressor.flush())

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.file_bytes += len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
