"""Pyramids by content under a root: written where they are missing, used again where they are there."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator

from tfvs.preparation import files

_listed: dict[str, set[str]] = {}
_lock = threading.Lock()


def forget_listings() -> None:
    """Lets what lies under roots be asked for anew: a job begins, and others may have written since the last one."""
    with _lock:
        _listed.clear()


@contextlib.contextmanager
def stored(root: str, relative: str) -> Iterator[str]:
    """Where a pyramid lies on this machine; one in object storage is fetched, and sent back where it is new.

    Args:
      root: The pyramids' root.
      relative: Path of the pyramid below it.
    """
    if files.is_local(root):
        yield files.join(root, relative)
        return
    uri = files.join(root, relative)
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "pyramid.tif")
        if uri in _listing(root):
            with contextlib.suppress(FileNotFoundError):  # it was removed since
                files.download(uri, local)
        fetched = files.state(local)
        yield local
        if files.state(local) not in (None, fetched):
            files.upload(local, uri)
            _listing(root).add(uri)


def _listing(root: str) -> set[str]:
    """URIs of all that lies under a root, asked for once rather than one by one."""
    with _lock:
        if root not in _listed:
            _listed[root] = {uri for _, uri in files.below(root)}
        return _listed[root]
