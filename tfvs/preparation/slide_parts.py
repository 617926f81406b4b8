"""Slides that are several files: all of them are the content that a pyramid is named by."""

from __future__ import annotations

import hashlib
import os

from tfvs.preparation import files


def with_parts(uri: str, sha256: str) -> str:
    """Digest of an image file and of the files that belong to it; of most there are none, and it stays as it is.

    Raises:
      ValueError: The slide is several files that do not lie on this machine.
    """
    stem, suffix = os.path.splitext(uri)
    folder, name = os.path.split(stem)
    if suffix.lower() not in (".mrxs", ".vms", ".vmu", ".dcm"):
        return sha256
    if not files.is_local(uri):
        raise ValueError("a slide of several files must lie on this machine")
    if suffix.lower() == ".mrxs":
        parts = [path for _, path in files.below(stem)]
    else:
        parts = [path for (entry,), path in files.below(folder or ".", 1) if suffix == ".dcm" or entry.startswith(name)]
    digest = hashlib.sha256(sha256.encode())
    for path in sorted(parts):
        with files.local_copy(path) as (_, content):
            digest.update(f"{os.path.basename(path)} {content}\n".encode())
    return digest.hexdigest()
