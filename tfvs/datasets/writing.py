"""Writing a generated data set as image files and a manifest: can be stopped anywhere and goes on from there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyvips
from PIL import Image
from tqdm import tqdm

from tfvs.errors import DataError, ResourceError

MANIFEST = "manifest.jsonl"
DESCRIPTION = "dataset.json"


class Sample(NamedTuple):
    """One generated image.

    Attributes:
      image: ``[H, W]`` uint8.
      label: Class index.
      extra: What else the manifest should say about it, JSON values.
    """

    image: np.ndarray
    label: int
    extra: Mapping[str, Any]


class Entry(NamedTuple):
    """One generated item of a list.

    Attributes:
      row: What the list says of it.
      files: Path below the folder → what makes the file's bytes; called where the file is not there yet.
    """

    row: Mapping[str, Any]
    files: Mapping[str, Callable[[], bytes]]


def write_dataset(
    output: str | os.PathLike[str],
    counts: Mapping[str, int],
    make: Callable[[str, int], Sample],
    *,
    description: Mapping[str, Any],
    class_names: list[str],
    overwrite: bool = False,
) -> Path:
    """Writes ``output/<split>/<number>.png``, ``manifest.jsonl`` and ``dataset.json``.

    Args:
      output: Folder, made where missing.
      counts: Images per split.
      make: ``(split, index) → Sample``.
      description: What the images depend on; its digest is recorded.
      class_names: By label; recorded.
      overwrite: Whether to replace a data set of another description.

    Returns:
      Path of the manifest.

    Raises:
      DataError: The folder holds another data set, or the counts ask for no image.
      ResourceError: The folder cannot be written to, or the disk is full.
    """

    def entry(split: str, index: int) -> Entry:
        sample, relative = make(split, index), f"{split}/{index:06d}.png"
        row = {"path": relative, "label": sample.label, "split": split, **sample.extra}
        return Entry(row, {relative: lambda: encode_png(sample.image)})

    return write_listed(
        output,
        counts,
        entry,
        lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
        list_name=MANIFEST,
        description=description,
        class_names=class_names,
        overwrite=overwrite,
    )


def write_listed(
    output: str | os.PathLike[str],
    counts: Mapping[str, int],
    make: Callable[[str, int], Entry],
    to_list: Callable[[Iterable[Mapping[str, Any]]], str],
    *,
    list_name: str,
    description: Mapping[str, Any],
    class_names: list[str],
    overwrite: bool = False,
) -> Path:
    """Writes files of each split below ``output/<split>``, a list of them, and ``dataset.json``.

    Every file appears whole or not at all, and item ``i`` of a split is a function of the description and ``i``: a run
    that was stopped goes on, a run that is complete does nothing. The list comes last.

    Args:
      output: Folder, made where missing.
      counts: Items per split.
      make: ``(split, index) → Entry``; its files lie below ``<split>/``.
      to_list: The rows of all items → the text of the list.
      list_name: Name of the list's file.
      description: What the items depend on; its digest is recorded.
      class_names: By label; recorded.
      overwrite: Whether to replace a data set of another description.

    Returns:
      Path of the list.

    Raises:
      DataError: The folder holds another data set, or the counts ask for no image.
      ResourceError: The folder cannot be written to, or the disk is full.
    """
    folder = Path(output)
    if not any(counts.values()) or min(counts.values()) < 0:
        raise DataError("No images are asked for", expected="counts >= 0, one of them > 0", received=dict(counts))
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    recorded = {
        "sha256": digest,
        "description": dict(description),
        "class_names": class_names,
        "counts": dict(counts),
    }
    try:
        if _is_complete(folder, recorded, list_name, overwrite):
            return folder / list_name
        (folder / list_name).unlink(missing_ok=True)
        replace_file(folder / DESCRIPTION, _to_json({**recorded, "complete": False}))
        rows = list(_write_items(folder, counts, make))
        replace_file(folder / list_name, to_list(rows).encode())
        replace_file(folder / DESCRIPTION, _to_json({**recorded, "complete": True}))
    except OSError as error:
        raise ResourceError(
            "The data set cannot be written",
            received=f"{error.strerror or error} ({error.filename or folder})",
            mend="Check the disk's free space and the folder's permissions, then run the same command again",
        ) from error
    return folder / list_name


def _is_complete(folder: Path, recorded: Mapping[str, Any], list_name: str, overwrite: bool) -> bool:
    """Whether nothing is left to do; clears or refuses a folder that holds another data set."""
    path = folder / DESCRIPTION
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise DataError(
                "The folder holds other files",
                expected="an empty or new folder",
                received=folder,
                mend="Choose another folder",
            )
        folder.mkdir(parents=True, exist_ok=True)
        return False
    try:
        found = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is damaged", received=error, mend="Remove the folder") from error
    if found.get("sha256") == recorded["sha256"]:
        same = found.get("counts") == recorded["counts"]
        return bool(found.get("complete")) and same and (folder / list_name).exists()
    if not overwrite:
        raise other_configuration(recorded["description"], found.get("description"))
    for split in found.get("counts", {}):
        shutil.rmtree(folder / split, ignore_errors=True)
    return False


def other_configuration(expected: object, received: object) -> DataError:
    """The error where a folder holds another data set than the one that is asked for."""
    return DataError(
        "The folder holds a data set of another configuration",
        expected=expected,
        received=received,
        mend="Choose another folder, or give --overwrite",
    )


def _write_items(
    folder: Path, counts: Mapping[str, int], make: Callable[[str, int], Entry]
) -> Iterator[Mapping[str, Any]]:
    total = sum(counts.values())
    with tqdm(total=total, unit="image", desc=folder.name, file=sys.stderr, mininterval=1.0) as progress:
        for split, count in counts.items():
            (folder / split).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                entry = make(split, index)
                for relative, encode in entry.files.items():
                    path = folder / relative
                    if not path.exists():
                        path.parent.mkdir(parents=True, exist_ok=True)
                        replace_file(path, encode())
                yield entry.row
                progress.update()


def encode_png(image: np.ndarray) -> bytes:
    """``[H, W]`` uint8 → PNG, unfiltered and compressed quickly, since canvases are mostly black."""
    return pyvips.Image.new_from_array(image, interpretation="b-w").pngsave_buffer(compression=1, filter="none")


def _to_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
    """An image as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file that appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
