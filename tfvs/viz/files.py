"""Writing a result whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tfvs.errors import ResourceError


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Writes a file under a temporary name beside its destination, then renames it.

    A reader sees the old file or the new one, never half of one. Missing folders are made.

    Args:
      path: Destination.
      content: Bytes, or text to be written as UTF-8.

    Returns:
      The destination.

    Raises:
      ResourceError: The folder cannot be written, or the disk is full.
    """
    destination = Path(path)
    temporary = None
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=destination.parent, prefix=f".{destination.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, destination)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise cannot_write(destination, error) from error
    return destination


def cannot_write(destination: Path, error: OSError) -> ResourceError:
    """The error where a result cannot be written."""
    return ResourceError(
        f"Cannot write {destination}",
        received=f"{type(error).__name__}: {error}",
        mend="Choose a folder that can be written and has space",
    )


def _umask() -> int:
    """The process' file mode mask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
