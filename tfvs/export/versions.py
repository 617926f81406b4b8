"""Numbered versions below a model's base folder, as TensorFlow Serving lays them out."""

from __future__ import annotations

import os

import tensorflow as tf

SAVED_MODEL_FILE = "saved_model.pb"


def newest_version(path: str | os.PathLike[str]) -> str:
    """The SavedModel at a path: the path itself, or its newest numbered version.

    Args:
      path: Folder of a SavedModel, or the folder of its versions.
    """
    base = os.fspath(path)
    if tf.io.gfile.exists(os.path.join(base, SAVED_MODEL_FILE)):
        return base
    versions = _versions(base)
    return os.path.join(base, max(versions, key=int)) if versions else base


def next_version(base_path: str | os.PathLike[str]) -> str:
    """The folder of a new version under a server's base path: one more than the newest, or 1."""
    base = os.fspath(base_path)
    return os.path.join(base, str(max(map(int, _versions(base)), default=0) + 1))


def _versions(base: str) -> list[str]:
    """Names of the versions' folders."""
    entries = tf.io.gfile.listdir(base) if tf.io.gfile.isdir(base) else []
    return [entry.rstrip("/") for entry in entries if entry.rstrip("/").isascii() and entry.rstrip("/").isdecimal()]
