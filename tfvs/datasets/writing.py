"""Writing a generated data set as image files and a manifest: can be stopped anywhere and goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyvips
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

    Every file appears whole or not at all, and image ``i`` of a split is a function of the description and ``i``: a run
    that was stopped goes on, a run that is complete does nothing. The manifest comes last.

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
        if _is_complete(folder, recorded, overwrite):
            return folder / MANIFEST
        (folder / MANIFEST).unlink(missing_ok=True)
        _replace(folder / DESCRIPTION, _to_json({**recorded, "complete": False}))
        lines = [json.dumps(line) + "\n" for line in _write_images(folder, counts, make)]
        _replace(folder / MANIFEST, "".join(lines).encode())
        _replace(folder / DESCRIPTION, _to_json({**recorded, "complete": True}))
    except OSError as error:
        raise ResourceError(
            "The data set cannot be written",
            received=f"{error.strerror or error} ({error.filename or folder})",
            mend="Check the disk's free space and the folder's permissions, then run the same command again",
        ) from error
    return folder / MANIFEST


def _is_complete(folder: Path, recorded: Mapping[str, Any], overwrite: bool) -> bool:
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
        return bool(found.get("complete")) and same and (folder / MANIFEST).exists()
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


def _write_images(
    folder: Path, counts: Mapping[str, int], make: Callable[[str, int], Sample]
) -> Iterator[dict[str, Any]]:
    total = sum(counts.values())
    with tqdm(total=total, unit="image", desc=folder.name, file=sys.stderr, mininterval=1.0) as progress:
        for split, count in counts.items():
            (folder / split).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                relative = f"{split}/{index:06d}.png"
                sample = make(split, index)
                if not (folder / relative).exists():
                    _replace(folder / relative, encode_png(sample.image))
                yield {"path": relative, "label": sample.label, "split": split, **sample.extra}
                progress.update()


def encode_png(image: np.ndarray) -> bytes:
    """``[H, W]`` uint8 → PNG, unfiltered and compressed quickly, since canvases are mostly black."""
    return pyvips.Image.new_from_array(image, interpretation="b-w").pngsave_buffer(compression=1, filter="none")


def _to_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
