"""A job on this machine alone, without Beam: the same steps, the same bytes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tfvs.preparation.contents import Converted, Identical, compare
from tfvs.preparation.decode import Decoded, Refused, Task, decode, limit_libvips
from tfvs.preparation.decoder import Decoder
from tfvs.preparation.job import Job, finish
from tfvs.preparation.job_folder import JobFolder, own_folder
from tfvs.preparation.listing import Listing
from tfvs.preparation.pyramid_store import forget_listings
from tfvs.preparation.records import Entry, write_shard
from tfvs.preparation.sources import Rejected, Source
from tfvs.preparation.steps import convert_to_entry, first_of_each_id, list_key, make_summary, shard_key

Decode = Callable[[Task], Decoded | Refused]
MAX_WORKERS = 8  # unless more are asked for; each holds about 100 MB


def run_local(job: Job, *, workers: int | None = None) -> dict[str, Any]:
    """Runs a job to its end, in threads, each with a process that decodes where ``decoder`` is ``"subprocess"``.

    Records are held in memory until they are written: some ten kilobytes per image. Beam, by
    ``python -m components.prepare``, has no such bound.

    Args:
      job: What to do.
      workers: Images that are converted at a time; None for as many as there are cores, at most 8.

    Returns:
      The manifest, the same as Beam's.

    Raises:
      DataError: Nothing is listed, or images got lost between listing and writing.
      ResourceError: The outputs cannot be written: no permission, the disk is full.
      TooManyRejectedError: Raised after everything is written.
    """
    with own_folder(job.records_root, job.pyramid_root) as folder:
        return finish(job, folder, _run(job, folder, workers))


def _run(job: Job, folder: JobFolder, workers: int | None) -> dict[str, Any]:
    """Writes pyramids, and shards into the job's folder; returns the summary."""
    forget_listings()
    listing = Listing()
    by_id: dict[str, list[Source | Rejected]] = {}
    for listed in job.reader.read():
        if listing.add(listed) and isinstance(listed, Source | Rejected):
            by_id.setdefault(list_key(listed), []).append(listed)
    sources: list[Source] = []
    rejected: list[Rejected] = []
    for group in by_id.values():
        for item in first_of_each_id(group):
            if isinstance(item, Source):
                sources.append(item)
            else:
                rejected.append(item)
    converted: dict[str, list[Converted]] = {}
    notes: list[tuple[str, str]] = []
    for number, image in enumerate(_convert(job, sources, workers or min(os.cpu_count() or 1, MAX_WORKERS)), 1):
        if isinstance(image, Rejected):
            rejected.append(image)
        else:
            converted.setdefault(image.content, []).append(image)
            notes += [(note, image.uri) for note in image.notes]
        if job.progress is not None:
            job.progress(number, len(sources))
    identical: list[Identical] = []
    shards: dict[tuple[str, int], list[Entry]] = {}
    for images in converted.values():
        for result in compare(images, job.splits):
            if isinstance(result, Converted):
                shards.setdefault(shard_key(result, job.splits, job.num_shards), []).append(result.entry)
            elif isinstance(result, Rejected):
                rejected.append(result)
            else:
                identical.append(result)
    written = [
        write_shard(folder.new_attempt(), split, number, job.num_shards, entries)
        for (split, number), entries in sorted(shards.items())
    ]
    summary = make_summary(listing.to_dict(), written, rejected, identical, notes)
    return json.loads(json.dumps(summary))  # Through JSON, as Beam's workers hand it over.


def _convert(job: Job, sources: list[Source], workers: int) -> Iterator[Converted | Rejected]:
    """Converts images in the order in which they come."""
    with _decoders(job.options.decoder) as decoder_of_thread, ThreadPoolExecutor(workers) as pool:

        def one(source: Source) -> Converted | Rejected:
            return convert_to_entry(source, job.options, job.pyramid_root, decoder_of_thread())

        try:
            yield from pool.map(one, sources)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _decoders(kind: str) -> Iterator[Callable[[], Decode]]:
    """What gives each thread its decoder; their processes end with the block."""
    if kind == "direct":
        limit_libvips()
        yield lambda: decode
        return
    own, started = threading.local(), []

    def of_thread() -> Decode:
        if not hasattr(own, "decoder"):
            own.decoder = Decoder()
            started.append(own.decoder)
        return own.decoder.decode

    try:
        yield of_thread
    finally:
        for decoder in started:
            decoder.close()
