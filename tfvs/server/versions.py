"""What lies under a model's base path: its versions, whether each is complete, and whether it has changed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfvs.server.log_limits import OncePerCause
from tfvs.server.servable import SAVED_MODEL_FILE

MAX_VERSION = 2**63 - 1
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class VersionFolder:
    """One version as it was found.

    Attributes:
      path: Its folder, under the name it has: ``00000123`` is version 123.
      fingerprint: Names, sizes and times of all its files; another one when anything has changed.
    """

    path: str
    fingerprint: str


class VersionFolders:
    """Looks under one base path.

    Args:
      base_path: Folder of numbered versions, on any file system of TensorFlow.
    """

    def __init__(self, base_path: str) -> None:
        self.base_path = base_path
        self._complaints = OncePerCause()

    def find(self) -> dict[int, VersionFolder]:
        """Versions that have their ``saved_model.pb``. What is wrong with one of them concerns that one alone.

        Raises:
          OpError: The base path itself cannot be read.
        """
        found: dict[int, VersionFolder] = {}
        for entry in sorted(tf.io.gfile.listdir(self.base_path)):
            name = entry.rstrip("/")
            if not _NUMBER.fullmatch(name):
                continue
            number, path = int(name), os.path.join(self.base_path, name)
            if number > MAX_VERSION:
                self._complaints.error("%s is no version: its number is above int64", path)
            elif number in found and str(number) != name:
                self._complaints.error("%s is left out: %s is the same version", path, found[number].path)
            elif _exists(os.path.join(path, SAVED_MODEL_FILE)):
                found[number] = VersionFolder(path, _fingerprint(path))
        return found


def missing_files(path: str) -> list[str]:
    """Files that a version's ``saved_model.pb`` names and that are not there yet.

    Variables need no look here: loading reads them, and fails without them. Assets are read when a request comes.

    Args:
      path: Folder of a SavedModel.
    """
    saved_model = saved_model_pb2.SavedModel()
    try:
        with tf.io.gfile.GFile(os.path.join(path, SAVED_MODEL_FILE), "rb") as file:
            saved_model.ParseFromString(file.read())
    except (tf.errors.OpError, DecodeError):
        return []  # loading says what is wrong
    assets = {asset.filename for graph in saved_model.meta_graphs for asset in graph.asset_file_def}
    names = (os.path.join(tf.saved_model.ASSETS_DIRECTORY, name) for name in sorted(assets))
    return [name for name in names if not _exists(os.path.join(path, name))]


def _exists(path: str) -> bool:
    try:
        return not tf.io.gfile.stat(path).is_directory
    except tf.errors.OpError:
        return False


def _fingerprint(path: str) -> str:
    parts = []
    for folder, _, files in tf.io.gfile.walk(path, onerror=lambda error: parts.append(f"unreadable: {error}")):
        for file in files:
            full = os.path.join(folder, file)
            try:
                stat = tf.io.gfile.stat(full)
                parts.append(f"{full}:{stat.length}:{stat.mtime_nsec}")
            except tf.errors.OpError:  # a link without a target, or a file that was just removed
                parts.append(f"{full}:missing")
    return "\n".join(sorted(parts))
