"""Records with proxies of another recipe, made from the pyramids: what preparing the images anew would write."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from tfvs.data.dataset import read_records
from tfvs.data.example import from_example
from tfvs.data.layout import MANIFEST, SPLIT_PREFIX, split_folder
from tfvs.errors import DataError, ResourceError
from tfvs.images.proxy import ProxyRecipe, encode_png, proxy_from_pyramid
from tfvs.preparation import files
from tfvs.preparation.records import Entry, write_shard
from tfvs.preparation.steps import make_entry

_SHARD = re.compile(r"data_tfrecord-(\d+)-of-(\d+)\.gz")


def remake_proxies(records: Path, pyramids: str, proxy: ProxyRecipe, output: Path) -> Path:
    """Writes records anew with other proxies; does nothing where they are there.

    Args:
      records: Folder of the manifest and of the splits' folders.
      pyramids: Root of the pyramids; those of object storage are copied here, each whole and for as long as it takes.
      proxy: The recipe.
      output: Folder for the new records; it appears when all are written.

    Returns:
      The output.

    Raises:
      DataError: The proxies were made from other images, or the records have other names than ``tfvs prepare`` gives.
      ImageError: A pyramid cannot be read.
      ResourceError: The output cannot be written.
    """
    if output.is_dir():
        return output
    manifest = json.loads((records / MANIFEST).read_text())
    if manifest["proxy"]["source"] != "image":
        raise DataError(
            "Proxies that were made from other images cannot be made again from the pyramids",
            expected=f"the proxies of the data set, {manifest['proxy']}",
            received=proxy,
            mend="Use them as they are, or prepare the images anew with the proxy's options",
        )
    part = output.with_name(f".{output.name}.{uuid.uuid4().hex}.part")
    paths = [
        (path, _SHARD.fullmatch(path.name)) for path in sorted(records.glob(split_folder("*") + "/*")) if path.is_file()
    ]
    total = manifest.get("written")
    try:
        with (
            ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool,
            tqdm(total=total, unit="image", desc=f"proxies {proxy.width} x {proxy.height}", file=sys.stderr) as bar,
        ):
            shards = []
            for path, name in paths:
                if name is None:
                    raise DataError("A record file has another name", expected=_SHARD.pattern, received=path)

                def again(serialized: bytes) -> Entry:
                    entry = _entry(serialized, pyramids, proxy)
                    bar.update()
                    return entry

                entries = list(pool.map(again, read_records([str(path)]).as_numpy_iterator()))
                split = path.parent.name.removeprefix(SPLIT_PREFIX)
                shards.append(write_shard(str(part), split, int(name[1]), int(name[2]), entries))
        told: list[dict[str, Any]] = [
            {"path": shard.path, "count": shard.count, "file_bytes": shard.file_bytes, "sha256": shard.sha256}
            for shard in shards
        ]
        new = {**manifest, "proxy": {**proxy.to_dict(), "source": "image"}, "shards": told}
        (part / MANIFEST).write_text(json.dumps(new, indent=2, sort_keys=True) + "\n")
        os.replace(part, output)
    except OSError as error:
        raise ResourceError(
            "Records with other proxies cannot be written",
            received=error,
            mend=f"Check free space and permissions of {output.parent}",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return output


def _entry(serialized: bytes, pyramids: str, proxy: ProxyRecipe) -> Entry:
    record = from_example(tf.train.Example.FromString(serialized))
    with files.image_here(files.join(pyramids, record.pyramid_uri)) as path:
        pixels = proxy_from_pyramid(Path(path), record.index, proxy, seed=record.sha256)
    return make_entry(replace(record, proxy=encode_png(pixels)))
