"""The Beam transforms: list → refuse duplicates → convert → compare contents → shards, and a summary to be checked.

They run on any runner: groups are made with GroupByKey alone and each attempt at a shard writes its own file, since
Beam's file sinks have lost data in silence on some runners. This module must not import TFX, which every worker would
then import too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsIter, AsSingleton, TaggedOutput

from components.progress import Done, write_listed
from tfvs.preparation import files
from tfvs.preparation.contents import Converted, Identical, compare
from tfvs.preparation.decode import decode, limit_libvips
from tfvs.preparation.decoder import Decoder
from tfvs.preparation.job_folder import JobFolder
from tfvs.preparation.listing import Listing
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.pyramid_store import forget_listings
from tfvs.preparation.readers import Reader
from tfvs.preparation.records import Entry, Shard, write_shard
from tfvs.preparation.sources import Rejected, Source
from tfvs.preparation.steps import convert_to_entry, first_of_each_id, list_key, make_summary, shard_key
from tfvs.storage.objects import storage, use_storage
from tfvs.storage.options import StorageOptions

REJECTED = "rejected"
LISTING = "listing"
IDENTICAL = "identical"
NOTES = "notes"
NAMESPACE = "tfvs"


@dataclass(frozen=True)
class Layout:
    """Where a job writes, and how it splits.

    Attributes:
      folder: The job's own folder: shards, the summary that the launcher reads after the run, progress.
      pyramid_root: Root of the pyramids, by content; shared by jobs.
      num_shards: Per split.
      splits: Weights of the splits of images whose split is not given.
    """

    folder: JobFolder
    pyramid_root: str
    num_shards: int
    splits: dict[str, int]


class PrepareRecords(beam.PTransform):
    """Everything from a reader to shards and a summary file.

    Args:
      reader: Lists the images.
      options: Options of pyramids and proxies.
      layout: Where to write.
    """

    def __init__(self, reader: Reader, options: PrepareOptions, layout: Layout) -> None:
        super().__init__()
        self._reader, self._options, self._layout = reader, options, layout

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Builds the graph; the result holds the summary's path."""
        layout, reach = self._layout, storage().options
        # As few steps as possible, since each costs tens of milliseconds at every start.
        listed = (
            pipeline
            | "Start" >> beam.Impulse()
            | "List" >> beam.FlatMap(_list, self._reader, layout.folder, reach).with_outputs(LISTING, main="items")
        )
        # Grouping by id also spreads the list over all workers.
        unique = (
            listed.items
            | "GroupById" >> beam.GroupByKey()
            | "Unique" >> beam.FlatMap(_first_of_each_id).with_outputs(REJECTED, main="sources")
        )
        converted = unique.sources | "Convert" >> beam.ParDo(
            Convert(self._options, layout.pyramid_root, layout.folder, reach)
        ).with_outputs(REJECTED, NOTES, main="entries")
        compared = (
            converted.entries
            | "GroupByContent" >> beam.GroupByKey()
            | "Compare"
            >> beam.FlatMap(_compare, layout.splits, layout.num_shards).with_outputs(
                REJECTED, IDENTICAL, main="entries"
            )
        )
        shards = (
            compared.entries
            | "GroupByShard" >> beam.GroupByKey()
            | "WriteShard" >> beam.Map(_write_shard, layout.folder, layout.num_shards, reach)
        )
        rejected = (unique[REJECTED], converted[REJECTED], compared[REJECTED]) | "AllRejected" >> beam.Flatten()
        return (
            pipeline
            | "Once" >> beam.Impulse()
            | "Summary"
            >> beam.Map(
                _write_summary,
                layout.folder.summary,
                reach,
                AsSingleton(listed[LISTING]),
                AsIter(shards),
                AsIter(rejected),
                AsIter(compared[IDENTICAL]),
                AsIter(converted[NOTES]),
            )
        )


class Convert(beam.DoFn):
    """Source → (content, :class:`tfvs.preparation.contents.Converted`), or a dead letter.

    Args:
      options: Options of pyramids and proxies.
      pyramid_root: Root of the pyramids.
      folder: The job's own folder, where progress is told.
      reach: How object storage is reached.
    """

    def __init__(self, options: PrepareOptions, pyramid_root: str, folder: JobFolder, reach: StorageOptions) -> None:
        self._reach = reach
        self._options, self._root, self._folder = options, pyramid_root, folder
        self._written = Metrics.counter(NAMESPACE, "written")
        self._rejected = Metrics.counter(NAMESPACE, "rejected")
        self._decoder: Decoder | None = None

    def setup(self) -> None:
        """Starts the decoder, once per worker."""
        use_storage(self._reach)
        forget_listings()
        self._done = Done(self._folder.progress)
        if self._options.decoder == "subprocess":
            self._decoder = Decoder()
        else:
            limit_libvips()

    def teardown(self) -> None:
        """Ends the decoder's process."""
        if self._decoder is not None:
            self._decoder.close()

    def process(self, source: Source) -> Iterator[Any]:
        """Converts one image."""
        run = decode if self._decoder is None else self._decoder.decode
        result = convert_to_entry(source, self._options, self._root, run)
        if isinstance(result, Rejected):
            self._rejected.inc()
            yield TaggedOutput(REJECTED, result)
        else:
            self._written.inc()
            for note in result.notes:
                yield TaggedOutput(NOTES, (note, source.uri))
            yield result.content, result
        self._done.add(source.image_id)


def _list(_: bytes, reader: Reader, folder: JobFolder, reach: StorageOptions) -> Iterator[Any]:
    """Gives everything that the reader lists by its id, and in the end the number of items, to find lost ones."""
    use_storage(reach)
    counter, listing = Metrics.counter(NAMESPACE, "listed"), Listing()
    for item in reader.read():
        if listing.add(item) and isinstance(item, Source | Rejected):
            counter.inc()
            yield list_key(item), item
    write_listed(folder.progress, listing.listed)
    yield TaggedOutput(LISTING, listing.to_dict())


def _compare(group: tuple[str, Iterable[Converted]], splits: dict[str, int], num_shards: int) -> Iterator[Any]:
    for item in compare(group[1], splits):
        if isinstance(item, Converted):
            yield shard_key(item, splits, num_shards), item.entry
        else:
            yield TaggedOutput(REJECTED if isinstance(item, Rejected) else IDENTICAL, item)


def _first_of_each_id(group: tuple[str, Iterable[Source | Rejected]]) -> Iterator[Any]:
    for item in first_of_each_id(group[1]):
        yield TaggedOutput(REJECTED, item) if isinstance(item, Rejected) else item


def _write_shard(
    group: tuple[tuple[str, int], Iterable[Entry]], folder: JobFolder, num_shards: int, reach: StorageOptions
) -> Shard:
    use_storage(reach)
    (split, number), entries = group
    return write_shard(folder.new_attempt(), split, number, num_shards, entries)


def _write_summary(
    _: bytes,
    path: str,
    reach: StorageOptions,
    listing: dict[str, Any],
    shards: Iterable[Shard],
    rejected: Iterable[Rejected],
    identical: Iterable[Identical],
    notes: Iterable[tuple[str, str]],
) -> str:
    use_storage(reach)
    summary = make_summary(listing, shards, rejected, identical, notes)
    with files.atomic_write(path) as file:
        file.write(json.dumps(summary).encode())
    return path
