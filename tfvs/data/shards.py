"""Record files are those that the manifest beside them names, by size and SHA-256 digest; any other is refused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from tfvs.data.layout import MANIFEST, SPLIT_PREFIX
from tfvs.errors import DataError
from tfvs.ops.tracing import as_written

_CHUNK = 1 << 20
_MEND = "Another job wrote it, or it was changed: prepare the images again; pyramids that are done are kept"
_THREADS = 8  # digests need no lock of Python's
_checked: set[tuple[str, int, int, str]] = set()  # what was found whole: path, size, time of change, digest


@as_written  # also called while the function of a dataset is traced
def check_shards(files: Sequence[str]) -> None:
    """Checks record files that lie in the folders of splits; each is read once per process and version of the file.

    Records without a manifest, or with one that names no files, are taken as they are.

    Args:
      files: Paths or URIs.

    Raises:
      DataError: A file is not the one that the manifest names: another job wrote it, or it was cut or changed.
    """
    in_splits = [path for path in files if os.path.basename(os.path.dirname(path)).startswith(SPLIT_PREFIX)]
    roots = {os.path.dirname(os.path.dirname(path)) for path in in_splits}
    named = {root: shards for root in roots if (shards := _named_shards(root)) is not None}
    known = [path for path in in_splits if os.path.dirname(os.path.dirname(path)) in named]
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda path: _check(path, named[os.path.dirname(os.path.dirname(path))]), known))


def not_the_one(expected: str, received: str) -> DataError:
    """The error for a record file that is not the one that the manifest names."""
    return DataError(
        "A record file is not the one that the manifest names", expected=expected, received=received, mend=_MEND
    )


def check_complete(records: str, split: str, files: Sequence[str]) -> None:
    """Raises DataError where the manifest names files of a split that are not among these."""
    shards = _named_shards(records) or {}
    missing = {path for path in shards if path.startswith(f"{split}/")} - {
        f"{split}/{os.path.basename(path)}" for path in files
    }
    if missing:
        raise DataError(
            "Record files that the manifest names are missing",
            expected=", ".join(sorted(missing)[:3]),
            received=f"{len(files)} files in {os.path.join(records, split)}",
            mend="Prepare the images again: what is done is kept",
        )


def _named_shards(root: str) -> dict[str, dict[str, Any]] | None:
    """Files of the manifest by path below the root; None where it names none."""
    try:
        with tf.io.gfile.GFile(os.path.join(root, MANIFEST)) as file:
            shards = json.loads(file.read())["shards"]
        return {shard["path"]: shard for shard in shards}
    except (tf.errors.OpError, ValueError, KeyError, TypeError):
        return None


def _check(path: str, shards: dict[str, dict[str, Any]]) -> None:
    name = f"{os.path.basename(os.path.dirname(path))}/{os.path.basename(path)}"
    if name not in shards:
        raise DataError("The manifest names no such record file", received=path, mend=_MEND)
    wanted, found = shards[name], tf.io.gfile.stat(path)
    if found.length != wanted["file_bytes"]:
        raise not_the_one(f"{wanted['file_bytes']} bytes", f"{path} of {found.length} bytes")
    # TensorFlow tells the time of a change in whole seconds.
    changed = found.mtime_nsec if "://" in path else os.stat(path).st_mtime_ns
    version = (path, found.length, changed, wanted["sha256"])
    if version in _checked:
        return
    digest = _digest(path)
    if digest != wanted["sha256"]:
        raise not_the_one(f"sha256 {wanted['sha256']}", f"{path}, sha256 {digest}")
    _checked.add(version)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
