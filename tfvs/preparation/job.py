"""A job: what to convert and where to, its manifest, and the checks at its end that no image got lost."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfvs.code_digest import code_digest
from tfvs.config import Config, option
from tfvs.data.layout import MANIFEST
from tfvs.errors import ConfigError, DataError, TooManyRejectedError
from tfvs.preparation import files
from tfvs.preparation.job_folder import DEAD_LETTERS, JobFolder, check_owned
from tfvs.preparation.listing import NAMED
from tfvs.preparation.options import DEFAULT_SPLITS, MAX_REJECTED, NUM_SHARDS, PrepareOptions
from tfvs.preparation.readers import Reader
from tfvs.preparation.sources import PassedOver, Source
from tfvs.preparation.splits import parse_splits
from tfvs.version import __version__

ROOT_ID = "root-id"
STEPS = "tfvs.preparation.steps"  # the code that makes Examples
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True)
class Job(Config):
    """What to do, and where.

    Attributes:
      reader: Lists the images.
      options: Options of pyramids and proxies.
      records_root: Folder of the shards, ``Split-<name>/data_tfrecord-*.gz``, as TFX lays them out.
      pyramid_root: Root of the pyramids, by content; keep it between jobs.
      dead_letters: Where refused images are listed; None: beside the records.
      progress: Called now and then with the numbers of images that are done and that are listed.
    """

    reader: Reader
    options: PrepareOptions
    records_root: str
    pyramid_root: str
    splits: dict[str, int] = option(
        DEFAULT_SPLITS,
        "Weights of the splits, for images whose split the data does not say.",
        at_least=1,
        least_items=1,
        parse=parse_splits,
    )
    num_shards: int = option(NUM_SHARDS, "Number of record files per split.", at_least=1)
    max_rejected: float = option(
        MAX_REJECTED,
        "Fraction of the listed images that may be refused; above it the exit code is 6.",
        at_least=0,
        at_most=1,
    )
    dead_letters: str | None = None
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [name for name in self.splits if not _SPLIT_NAME.fullmatch(name)]:
            raise ConfigError(
                "A split's name is part of file names", expected="letters, digits, _ and -", received=unknown
            )


def finish(job: Job, folder: JobFolder, summary: dict[str, Any]) -> dict[str, Any]:
    """Checks that nothing got lost, puts the shards in place, and writes dead letters and then the manifest.

    Args:
      job: What was done.
      folder: Where it was done.
      summary: See :func:`tfvs.preparation.steps.make_summary`.

    Returns:
      The manifest.

    Raises:
      DataError: Nothing is listed, or images got lost between listing and writing.
      ResourceError: A later job has taken the output, or it cannot be written.
      TooManyRejectedError: Raised after everything is written.
    """
    manifest = make_manifest(summary, job)
    _reconcile(summary)
    check_owned(folder)
    for shard in summary["shards"]:
        files.move(_shard_in(shard["root"], shard), _shard_in(job.records_root, shard))
    lines = "".join(json.dumps(item) + "\n" for item in summary["rejected"])
    for path in {files.join(job.records_root, DEAD_LETTERS), job.dead_letters} - {None}:
        _write(str(path), lines)
    _write(files.join(job.records_root, MANIFEST), json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    _judge(manifest, job, summary["rejected"])
    return manifest


def make_manifest(summary: dict[str, Any], job: Job) -> dict[str, Any]:
    """Counts, class names and histogram, sizes, digests and versions; the same for the same input and options."""
    options = job.options
    splits: dict[str, dict[str, Any]] = {}
    for shard in summary["shards"]:
        split = splits.setdefault(shard["split"], {"count": 0, "labels": Counter()})
        split["count"] += shard["count"]
        split["labels"].update(shard["labels"])
    for split in splits.values():
        split["labels"] = dict(sorted(split["labels"].items(), key=lambda item: int(item[0])))
    largest = max((shard["largest"] for shard in summary["shards"]), key=lambda size: size[0] * size[1], default=None)
    return {
        "class_names": list(job.reader.class_names()),
        "listed": summary["listed"],
        "written": sum(shard["count"] for shard in summary["shards"]),
        "rejected": len(summary["rejected"]),
        "rejected_by_stage": dict(sorted(Counter(item["stage"] for item in summary["rejected"]).items())),
        "passed_over": summary["passed_over"],
        "notes": summary["notes"],
        "kinds": dict(sorted(sum((Counter(shard["kinds"]) for shard in summary["shards"]), Counter()).items())),
        "identical": {
            "groups": len(summary["identical"]),
            "images": sum(len(group["image_ids"]) for group in summary["identical"]),
            "groups_across_splits": sum(len(group["splits"]) > 1 for group in summary["identical"]),
            "first": [group["image_ids"] for group in summary["identical"][:NAMED]],
        },
        "splits": dict(sorted(splits.items())),
        "pixels": sum(shard["pixels"] for shard in summary["shards"]),
        "largest_width_height": largest,
        "shards": [
            {name: shard[name] for name in ("path", "count", "file_bytes", "sha256")} for shard in summary["shards"]
        ],
        # Where images are decoded changes no byte of what is written.
        "options": {name: value for name, value in options.to_dict().items() if name not in ("decoder", "proxy")},
        "proxy": options.proxy.replace(source=_proxy_source(summary)).to_dict(),
        "images": {
            "dtype": options.pyramid.dtype,
            "max_side_px": options.max_side_px,
            "conversion": options.conversion(),
        },
        "code": code_digest(STEPS, __name__),
        "versions": {"tfvs": __version__, "pyvips": importlib.metadata.version("pyvips")},
    }


def _proxy_source(summary: dict[str, Any]) -> str:
    """Whether any proxy came from another image than the one to classify."""
    return "other_image" if any(shard["other_proxies"] for shard in summary["shards"]) else "image"


def fingerprint(reader: Reader) -> str:
    """Digest of what is listed and of every file's size and time of change; new where the input is.

    Raises:
      DataError: There is no such data set, or nothing in it.
    """
    digest, count = hashlib.sha256(), 0
    for uri in reader.inputs():
        digest.update(repr(files.state(uri)).encode())
    for item in reader.read():
        if isinstance(item, PassedOver):
            continue
        count += 1
        digest.update(repr(item).encode())
        if isinstance(item, Source):
            digest.update(repr(files.state(item.uri)).encode())
            if item.proxy_uri is not None:
                digest.update(repr(files.state(item.proxy_uri)).encode())
    if not count:
        raise DataError("No images are listed", mend="Check the input's path and the reader")
    return f"{count} images, sha256 {digest.hexdigest()}"


def root_identity(root: str) -> str:
    """A pyramid root's own name, made when it is first used: another one where the root was removed since."""
    path = files.join(root, ROOT_ID)
    if not files.exists(path):
        _write(path, uuid.uuid4().hex)
    return files.read(path).decode()


def _reconcile(summary: dict[str, Any]) -> None:
    """Every listed image was either written or rejected, and every shard is there."""
    written = sum(shard["count"] for shard in summary["shards"])
    rejected = len(summary["rejected"])
    if not summary["listed"]:
        raise DataError("No images are listed", mend="Check the input's path and the reader")
    if summary["listed"] != written + rejected:
        raise DataError(
            "Images got lost between listing and writing",
            expected=f"{summary['listed']} listed",
            received=f"{written} written and {rejected} rejected",
            mend="Do not use these records; start again, on another runner if it repeats",
        )
    for shard in summary["shards"]:
        state = files.state(_shard_in(shard["root"], shard))
        if state is None or state[0] != shard["file_bytes"]:
            raise DataError(
                "A shard is missing or cut short",
                expected=f"{shard['path']} of {shard['file_bytes']} bytes",
                received="no file" if state is None else f"{state[0]} bytes",
                mend="Do not use these records; start again",
            )


def _shard_in(root: str, shard: dict[str, Any]) -> str:
    return files.join(root, *shard["path"].split("/"))


def _judge(manifest: dict[str, Any], job: Job, rejected: list[dict[str, Any]]) -> None:
    allowed = job.max_rejected * manifest["listed"]
    if manifest["rejected"] > allowed:
        letters = job.dead_letters or files.join(job.records_root, DEAD_LETTERS)
        first = rejected[0]
        raise TooManyRejectedError(
            f"{manifest['rejected']} of {manifest['listed']} images were rejected",
            expected=f"at most {allowed:.0f} (max_rejected={job.max_rejected})",
            received=f"first {first['uri']}: {first['reason']}",
            mend=f"See {letters}; mend the images or raise max_rejected. Everything else is written",
        )


def _write(path: str, text: str) -> None:
    with files.atomic_write(path) as file:
        file.write(text.encode())
