"""What an exported model is: signatures, classes, the proxy's recipe, looks and scales."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from tfvs.export.description import read_description
from tfvs.export.image_roots import ROOTS_FILE
from tfvs.export.versions import SAVED_MODEL_FILE, newest_version


def inspect_model(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts of an exported model, without loading it.

    Args:
      path: Folder of a SavedModel, or of its versions.

    Returns:
      ``version`` (its folder), ``signatures`` (name → names of its inputs), ``image_roots`` and the fields of
      :class:`tfvs.export.description.ModelDescription`.

    Raises:
      DataError: It holds no model that tfvs exported.
    """
    folder = newest_version(path)
    description = read_description(folder)
    messages: Any = saved_model_pb2
    saved = messages.SavedModel.FromString(Path(folder, SAVED_MODEL_FILE).read_bytes())
    found = {
        name: sorted(signature.inputs)
        for graph in saved.meta_graphs
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }
    roots = Path(folder, "assets", ROOTS_FILE)
    return {
        "version": str(folder),
        "signatures": dict(sorted(found.items())),
        "image_roots": roots.read_text().splitlines() if roots.is_file() else [],
        **description.to_dict(),
    }
