"""Records of a prepared data set in object storage, copied whole to this machine; pyramids stay where they are."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tfvs.data.layout import MANIFEST, RECORDS
from tfvs.data.shards import not_the_one
from tfvs.errors import DataError
from tfvs.preparation import files
from tfvs.storage.cache_files import kept_below
from tfvs.storage.objects import storage

FOLDER = "prepared"
_AT_A_TIME = 8


def fetch_prepared(uri: str) -> Path:
    """Copies the records that the manifest names, unless they are here, and checks their digests.

    Records are a small part of a data set: a proxy and a tile index per image. Each epoch reads all of them.

    Args:
      uri: Of the folder that holds the records and the pyramids.

    Returns:
      A folder of this version of the data set, with the records alone.

    Raises:
      DataError: There is no manifest, or a file is not the one that it names.
      ResourceError: They cannot be kept here.
    """
    root = files.join(uri, RECORDS)
    try:
        manifest = files.read(files.join(root, MANIFEST))
        shards = json.loads(manifest)["shards"]
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise DataError(
            "The folder holds no prepared data set",
            expected=files.join(root, MANIFEST),
            received=error,
            mend=f"Prepare the images first: tfvs prepare PHOTOS {uri}",
        ) from error
    version = hashlib.sha256(uri.rstrip("/").encode() + manifest).hexdigest()
    folder = storage().options.folder / FOLDER / version
    with kept_below(folder):
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(lambda shard: _fetch(root, folder / RECORDS, shard), shards))
        with files.atomic_write(str(folder / RECORDS / MANIFEST)) as file:
            file.write(manifest)
    return folder


def _fetch(root: str, folder: Path, shard: dict[str, Any]) -> None:
    path, uri = folder / shard["path"], files.join(root, shard["path"])
    if path.exists() and path.stat().st_size == shard["file_bytes"]:  # what is read of it is checked once more
        return
    try:
        with files.local_copy(uri) as (copy, digest):
            if digest != shard["sha256"]:
                raise not_the_one(f"sha256 {shard['sha256']}", f"{uri}, sha256 {digest}")
            files.upload(copy, str(path))
    except FileNotFoundError as error:
        raise DataError("A record file that the manifest names is missing", received=uri) from error
