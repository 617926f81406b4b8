"""Artifacts that ML Metadata knows and the disk no longer has: found before a run, so that they are made again."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfvs.errors import DataError, ResourceError

PUSHED_MODEL, PUSHED_DESTINATION = "PushedModel", "pushed_destination"


def check_metadata(path: str | os.PathLike[str]) -> None:
    """Checks that an existing metadata file is a whole SQLite database.

    It is opened for writing: SQLite then takes back what a run that was killed left half written, which a reader may
    not do (https://www.sqlite.org/lockingv3.html, "Hot journals").

    Args:
      path: ML Metadata's SQLite file; nothing is checked where there is none.

    Raises:
      DataError: The file is damaged, or no SQLite database.
      ResourceError: The file cannot be opened for writing, or another process holds it.
    """
    if not Path(path).exists():
        return
    try:
        connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=rw", uri=True)
        try:
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise ResourceError(
            "The metadata file of the pipeline cannot be used now",
            expected="a file that may be written and that no other process holds",
            received=f"{path}: {error}",
            mend="Wait until another run of this pipeline has ended, and check the permissions of the file and its "
            "folder",
        ) from error
    except sqlite3.Error as error:
        result = str(error)
    if result != "ok":
        raise DataError(
            "The metadata file of the pipeline is damaged",
            expected="an SQLite database of ML Metadata",
            received=f"{path}: {result}",
            mend="Move the file away and run again: finished pyramids and checkpoints are kept and used again",
        )


def forget_missing(path: str | os.PathLike[str], write: Callable[[str], None]) -> int:
    """Marks artifacts as deleted whose files are gone, so that TFX neither reuses them nor takes them as inputs.

    A pushed model is gone where the version that was pushed is no longer at its destination: the Pusher then pushes
    again.

    Args:
      path: ML Metadata's SQLite file; nothing happens where there is none.
      write: Takes one line that says what is missing, where something is.

    Returns:
      How many artifacts were marked.

    Raises:
      DataError: The file is damaged.
      ResourceError: See :func:`check_metadata`.
    """
    check_metadata(path)
    if not Path(path).exists():
        return 0
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    messages: Any = metadata_store_pb2
    connection = messages.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    store = metadata_store.MetadataStore(connection)
    gone: list[Any] = []
    for artifact in store.get_artifacts():
        if artifact.state == messages.Artifact.LIVE and not tf.io.gfile.exists(_place(artifact)):
            artifact.state = messages.Artifact.DELETED
            gone.append(artifact)
    if gone:
        store.put_artifacts(gone)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(a.type for a in gone).items()))
        write(
            f"{len(gone)} results of earlier runs are no longer on disk ({kinds}; the first is {_place(gone[0])}). "
            "What this run needs of them is made again."
        )
    return len(gone)


def _place(artifact: Any) -> str:
    """Where the artifact's files must lie."""
    if artifact.type == PUSHED_MODEL and PUSHED_DESTINATION in artifact.custom_properties:
        return str(artifact.custom_properties[PUSHED_DESTINATION].string_value)
    return str(artifact.uri)
