"""The steps from a list of images to shards and a summary, as functions that every runner calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from tfvs.data.features import serialize
from tfvs.data.records import ImageRecord
from tfvs.preparation.contents import Converted, Identical, content_of
from tfvs.preparation.convert import convert
from tfvs.preparation.decode import Decoded, Refused, Task
from tfvs.preparation.listing import grouped
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.records import Entry, Shard, bucket_of, split_of
from tfvs.preparation.sources import Rejected, Source


def list_key(item: Source | Rejected) -> str:
    """What listed items are grouped by: the id, or for a refused line, which has none, its place in the list."""
    return f"id:{item.image_id}" if isinstance(item, Source) else f"line:{item.uri}"


def first_of_each_id(items: Iterable[Source | Rejected]) -> Iterator[Source | Rejected]:
    """Keeps the first image of one id; others of the same id are refused.

    Args:
      items: What :func:`list_key` puts together.
    """
    sources = []
    for item in items:
        if isinstance(item, Source):
            sources.append(item)
        else:
            yield item
    sources.sort(key=lambda source: (source.uri, source.label, source.split or ""))
    for number, source in enumerate(sources):
        if number == 0:
            yield source
        else:
            reason = f"The id {source.image_id!r} is taken by {sources[0].uri}"
            yield Rejected(source.uri, "duplicate", reason, image_id=source.image_id)


def convert_to_entry(
    source: Source, options: PrepareOptions, pyramid_root: str, run: Callable[[Task], Decoded | Refused]
) -> Converted | Rejected:
    """Converts one image as far as what goes into a shard; see :func:`tfvs.preparation.convert.convert`."""
    record = convert(source, options, pyramid_root, run)
    if isinstance(record, Rejected):
        return record
    entry = make_entry(record, other_proxy=source.proxy_uri is not None)
    return Converted(source.split, source.uri, entry, content_of(record), record.notes)


def make_entry(record: ImageRecord, *, other_proxy: bool = False) -> Entry:
    """What goes into a shard of an image's record.

    Args:
      record: The record.
      other_proxy: Whether its proxy was made from another image.
    """
    index = record.index
    kind = f"{index.bands} x {index.dtype.removesuffix('_be')}"
    return Entry(record.image_id, record.label, index.width, index.height, kind, serialize(record), other_proxy)


def shard_key(image: Converted, splits: dict[str, int], num_shards: int) -> tuple[str, int]:
    """Split and number of the shard that an image goes into."""
    image_id = image.entry.image_id
    return image.split or split_of(image_id, splits), bucket_of(image_id, "shard", num_shards)


def make_summary(
    listing: dict[str, Any],
    shards: Iterable[Shard],
    rejected: Iterable[Rejected],
    identical: Iterable[Identical],
    notes: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """All that a job knows at its end, in an order of its own, as plain values.

    Args:
      listing: See :meth:`tfvs.preparation.listing.Listing.to_dict`.
      shards: What was written.
      rejected: What was refused.
      identical: Images of one content and label.
      notes: What was left out of files, with each file's URI.
    """
    return {
        **listing,
        "shards": sorted((asdict(shard) for shard in shards), key=lambda shard: shard["path"]),
        "rejected": sorted((item.to_dict() for item in rejected), key=lambda item: (item["uri"], item["reason"])),
        "notes": grouped(sorted(notes)),
        "identical": sorted((asdict(group) for group in identical), key=lambda group: group["image_ids"]),
    }
