"""Opening an image below allowed folders: what was checked is what is read, whatever happens to names meanwhile.

A name is resolved once, by the kernel, to a descriptor that was opened without reading (``O_PATH``, so that no device
is started and no pipe is waited for). Whether it is a regular file, and where it really lies, is asked of that
descriptor. TensorFlow then opens ``/proc/self/fd/N``, which is that same file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from tfvs.server.session import DESCRIPTORS

PATH_MAX = 4096  # of Linux: no longer path can be opened


class PathRefusedError(Exception):
    """A path leads where it must not, or to something that is no regular file."""


def open_below(path: bytes, groups: Sequence[Sequence[bytes]]) -> int:
    """Opens a regular file that lies, all links followed, below one folder of each group.

    Args:
      path: Absolute.
      groups: Folders as :func:`real_folder` gives them.

    Returns:
      A descriptor for :func:`descriptor_path`; the caller closes it.

    Raises:
      PathRefusedError: It lies elsewhere, or is no regular file.
      OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PathRefusedError("no regular file")
        real = os.readlink(descriptor_path(descriptor))
        if not all(any(is_below(real, folder) for folder in group) for group in groups):
            raise PathRefusedError("outside the image roots, links followed")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def real_folder(path: bytes) -> bytes:
    """Where a folder really lies, all links followed.

    Raises:
      OSError: It is not there, or is no folder.
    """
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        return os.readlink(descriptor_path(descriptor))
    finally:
        os.close(descriptor)


def descriptor_path(descriptor: int) -> bytes:
    """A path by which this process can open what the descriptor refers to."""
    return b"%s/%d" % (DESCRIPTORS.encode(), descriptor)


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether a path begins with a folder, by its text."""
    return path.startswith(folder.rstrip(b"/") + b"/")
