"""Image paths are confined a second time, before the graph: links resolved, and narrowed to ``--image_root``.

The exported graph confines paths by their text, because no stock operation resolves a link. This server can.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfvs.server.servable import Arrays, Servable

IMAGE_ROOTS_FILE = os.path.join("assets", "image_roots.txt")
EXAMPLES, PATH = "examples", "path"
PATH_FEATURE = "pyramid/uri"
REFUSED = b".."  # never a valid path: the graph answers that image as invalid, and the others as usual


class PathGuard:
    """Replaces paths that lead out of the roots by one the graph refuses.

    Args:
      image_roots: Folders to narrow to, beside those of the export; empty: the export's alone.
    """

    def __init__(self, image_roots: Sequence[str] = ()) -> None:
        self._narrower = [os.path.realpath(root) for root in image_roots]
        self._roots: dict[str, tuple[tuple[int, int], list[str]]] = {}  # of each model, as its file was last

    def narrow(self, servable: Servable, signature_name: str, inputs: Arrays) -> Arrays:
        """The inputs, with every path that is not allowed replaced.

        Args:
          servable: One exported by :mod:`tfvs.export.saving`; any other passes unchanged.
          signature_name: Its signature.
          inputs: ``path`` or ``examples`` are looked at.
        """
        if PATH not in inputs and EXAMPLES not in inputs:
            return inputs
        roots = self._read_roots(servable.path)
        if not roots:
            return inputs
        if PATH in inputs and inputs[PATH].dtype == object:
            checked = [path if self.allows(path, roots) else REFUSED for path in inputs[PATH].ravel()]
            return {**inputs, PATH: np.array(checked, object).reshape(inputs[PATH].shape)}
        if EXAMPLES in inputs and inputs[EXAMPLES].dtype == object:
            checked = [self._narrow_example(example, roots) for example in inputs[EXAMPLES].ravel()]
            return {**inputs, EXAMPLES: np.array(checked, object).reshape(inputs[EXAMPLES].shape)}
        return inputs

    def allows(self, path: bytes, roots: Sequence[str]) -> bool:
        """Whether a path, its links followed, lies under an exported root and under one of the narrower ones."""
        text = os.fsdecode(path)
        if "\0" in text or "://" in text:
            return "://" in text and not self._narrower  # remote: the graph alone decides
        real = os.path.realpath(os.path.join(roots[0], text))
        return _under(real, [os.path.realpath(root) for root in roots]) and (
            not self._narrower or _under(real, self._narrower)
        )

    def _read_roots(self, model_path: str) -> list[str]:
        """The roots as their file has them now, read again only when it has changed."""
        try:
            found = os.stat(os.path.join(model_path, IMAGE_ROOTS_FILE))
        except OSError:  # no file, or a file system that is TensorFlow's alone
            return export_roots(model_path)
        state = found.st_mtime_ns, found.st_size
        known = self._roots.get(model_path)
        if known is None or known[0] != state:
            known = self._roots[model_path] = state, export_roots(model_path)
        return known[1]

    def _narrow_example(self, serialized: bytes, roots: Sequence[str]) -> bytes:
        try:
            example = tf.train.Example.FromString(serialized)
        except Exception:  # the graph reports what cannot be parsed
            return serialized
        if PATH_FEATURE not in example.features.feature:
            return serialized
        values = example.features.feature[PATH_FEATURE].bytes_list.value
        if all(self.allows(value, roots) for value in values):
            return serialized
        values[:] = [REFUSED]
        return example.SerializeToString()


def export_roots(model_path: str) -> list[str]:
    """The roots a model was exported with; none for a model that is not ours."""
    path = os.path.join(model_path, IMAGE_ROOTS_FILE)
    if not tf.io.gfile.exists(path):
        return []
    return [line for line in tf.io.gfile.GFile(path).read().splitlines() if line]


def _under(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)
