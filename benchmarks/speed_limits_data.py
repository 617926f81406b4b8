"""GTSDB for the benchmark: records of photographs, and signs cut out of those for training."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
from PIL import Image

from components.job import run_job
from tfvs.data.dataset import find_files
from tfvs.data.example import from_example
from tfvs.datasets.gtsdb import (
    FOLDERS,
    GROUND_TRUTH,
    HEIGHT_PX,
    MIRRORABLE,
    SIGNS,
    SPEED_LIMITS,
    WIDTH_PX,
    Sign,
    label_of_kind,
    read_signs,
)
from tfvs.errors import DataError
from tfvs.images.cut_outs import CutOut, PasteBank, cut_out
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import Job
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader

PROXY = ProxyRecipe(height=200, width=340, channels=3)
TILE_PX = 64
TRAIN_PHOTOGRAPHS = 480
_LIMITS = label_of_kind(SPEED_LIMITS)
_ROUND = {*range(11), 15, 16, 17, *range(32, 43), SIGNS.index("stop")}


def prepare(data: Path, output: Path) -> Path:
    """Records and pyramids of a folder of photographs with ``gt.txt``; nothing is done where they are there.

    Args:
      data: The folder.
      output: Gets ``records`` and ``pyramids``.

    Returns:
      The folder of the records.
    """
    records = output / "records"
    if not (records / "manifest.json").exists():
        options = PrepareOptions(proxy=PROXY, tile_size=TILE_PX, quality=95, decoder="direct")
        job = Job(
            reader=make_reader("gtsdb", str(data)),
            options=options,
            records_root=str(records),
            pyramid_root=str(output / "pyramids"),
            num_shards=1,
        )
        run_job(job, beam.Pipeline)
    return records


def record_files(records: Path, splits: tuple[str, ...]) -> list[str]:
    """Record files of some splits, as far as they are there."""
    found = [path for split in splits for path in sorted((records / f"Split-{split}").glob("*")) if path.is_file()]
    if not found:
        raise DataError("There are no records of these splits", expected=splits, received=records)
    return find_files([str(path) for path in found])


def image_ids(files: list[str]) -> list[str]:
    """Ids of the photographs, in the files' order."""
    compression = "GZIP" if files[0].endswith(".gz") else ""
    records = tf.data.TFRecordDataset(files, compression_type=compression).as_numpy_iterator()
    return [from_example(tf.train.Example.FromString(record)).image_id for record in records]


def load_signs(data: Path) -> tuple[Path, dict[str, list[Sign]]]:
    """The folder of the photographs, and their signs; for evaluation and pasting, never for the model.

    Raises:
      DataError: There is no ground truth, or it cannot be read.
    """
    for folder in FOLDERS:
        path = data / folder / GROUND_TRUTH
        if path.exists():
            return path.parent, read_signs(path.read_text())
    raise DataError("There is no GTSDB data set", expected=GROUND_TRUTH, received=data)


def make_bank(data: Path, ids: list[str]) -> PasteBank:
    """All signs of the photographs for training, cut out; limits by their class, others as look-alikes.

    Args:
      data: The folder of GTSDB.
      ids: Of the photographs for training.
    """
    root, signs = load_signs(data)
    cuts: list[CutOut] = []
    places: list[tuple[float, float, float]] = []
    for stem in ids:
        found = signs.get(stem, [])
        if not found:
            continue
        path = next(path for path in (root / f"{stem}{suffix}" for suffix in (".ppm", ".png", ".jpg")) if path.exists())
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        for sign in found:
            box = (sign.top, sign.left, sign.bottom + 1, sign.right + 1)
            label = _LIMITS.get(sign.kind, 0)
            cuts.append(cut_out(pixels, box, label, outline=outline_of(sign.kind), mirrorable=sign.kind in MIRRORABLE))
            centre = ((sign.top + sign.bottom) / 2 / HEIGHT_PX, (sign.left + sign.right) / 2 / WIDTH_PX)
            places.append((*centre, max(sign.bottom - sign.top, sign.right - sign.left)))
    return PasteBank(cuts, np.array(places))


def outline_of(kind: int) -> str:
    """The shape of a sign: round, square on its corner, or a triangle."""
    if kind in _ROUND:
        return "ellipse"
    if kind == SIGNS.index("priority road"):
        return "diamond"
    return "triangle_down" if kind == SIGNS.index("give way") else "triangle"
