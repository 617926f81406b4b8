"""What a prepared data set holds: counts, classes, sizes, and a sheet of its proxies with the looks that fit them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfvs.data.dataset import read_records
from tfvs.data.example import from_example
from tfvs.errors import DataError
from tfvs.preparation.prepared import PreparedSet
from tfvs.training.facts import TRAIN, Facts, gather_facts
from tfvs.training.plan import make_plan
from tfvs.viz.contact_sheet import Thumbnail, contact_sheet
from tfvs.viz.files import write_atomically

SHOWN = 12


def inspect_prepared(prepared: PreparedSet, object_px: float | None = None) -> dict[str, Any]:
    """Facts of a data set and what ``tfvs train`` would choose for it.

    Args:
      prepared: The data set.
      object_px: See :class:`tfvs.training.facts.Facts`.

    Returns:
      ``class_names``, ``splits`` (images per class, by name), ``unlabelled`` training images, ``sizes`` (smallest,
      median and largest height and width), ``kinds``, ``proxy``, and ``plan``; where the images cannot be trained on
      as they are, ``plan`` is None and ``obstacle`` says why.

    Raises:
      DataError: There are no images to train on.
    """
    facts = gather_facts(prepared, object_px)
    names = facts.class_names
    splits = {}
    for split in prepared.splits:
        labels = prepared.labels(split)
        counts = np.bincount(labels[(labels >= 0) & (labels < len(names))], minlength=len(names))
        splits[split] = dict(zip(names, counts.tolist(), strict=True))
    try:
        planned: dict[str, Any] = {"plan": make_plan(facts).to_dict()}
    except DataError as error:
        planned = {"plan": None, "obstacle": str(error)}
    return {
        "class_names": list(names),
        "splits": splits,
        "unlabelled": facts.unlabelled,
        "sizes": {
            "smallest": facts.sizes[facts.sizes.prod(axis=1).argmin()].tolist(),
            "median": [facts.height, facts.width],
            "largest": facts.sizes[facts.sizes.prod(axis=1).argmax()].tolist(),
        },
        "kinds": [list(kind) for kind in facts.kinds],
        "proxy": facts.proxy.to_dict(),
        **planned,
    }


def write_contact_sheet(path: str | Path, prepared: PreparedSet, object_px: float | None = None) -> Path:
    """Writes a PNG of some training images' proxies, with the smallest and largest look drawn to scale.

    Args:
      path: Destination.
      prepared: The data set.
      object_px: See :class:`tfvs.training.facts.Facts`.

    Returns:
      The destination.
    """
    facts: Facts = gather_facts(prepared, object_px)
    model = make_plan(facts).model
    thumbnails = []
    for serialized in read_records(prepared.files(TRAIN)).take(SHOWN).as_numpy_iterator():
        record = from_example(tf.train.Example.FromString(serialized))
        size = (record.index.height, record.index.width)
        title = facts.class_names[record.label] if record.label >= 0 else "no label"
        sides = sorted({scale * min(size) for scale in (model.min_scale, model.max_scale)})
        pixels = tf.io.decode_png(record.proxy).numpy()
        thumbnails.append(Thumbnail(pixels, size, f"{title}: {record.image_id}", sides))
    return write_atomically(path, contact_sheet(thumbnails))
