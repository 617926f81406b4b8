"""What must be set before TensorFlow is imported, and the check of versions."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

MINIMUM_TENSORFLOW = (2, 16)
MINIMUM_KERAS = (3, 0)
# What TensorFlow 2.18 and later write before their log level counts.
_BEFORE_LOG_LEVEL = re.compile(rb"WARNING: All log messages before absl::InitializeLog|I\d{4} ")


class _DropLegacyKerasWarning(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "TF_USE_LEGACY_KERAS" not in str(record.msg)


def prepare() -> None:
    """Sets the environment for Keras 3 with the TensorFlow backend, and keeps start-up messages away.

    tensorflow_transform, which TFX imports, sets TF_USE_LEGACY_KERAS=1 where it is unset, and TensorFlow Probability
    then looks for a Keras 2 that is not there: so the value is assigned, not defaulted.
    """
    _name_missing_folders()
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    logging.getLogger("absl").addFilter(_DropLegacyKerasWarning())
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise ImportError(
            f"tfvs needs the TensorFlow backend of Keras, but KERAS_BACKEND is {os.environ['KERAS_BACKEND']!r}. "
            "Unset it, or set it to 'tensorflow'."
        )


def check_versions() -> None:
    """Raises ImportError, in one sentence, where the installed packages cannot work."""
    if sys.version_info < (3, 10):  # noqa: UP036  an old interpreter may still find the sources on its path
        raise ImportError(f"tfvs needs Python 3.10 or later; this is {sys.version.split()[0]}.")
    for package, minimum in (("tensorflow", MINIMUM_TENSORFLOW), ("keras", MINIMUM_KERAS)):
        found = _version(package)
        wanted = ".".join(map(str, minimum))
        if found is None:
            raise ImportError(f"tfvs needs {package} {wanted} or later, which is not installed: pip install {package}.")
        if tuple(int(part) for part in found.split(".")[:2]) < minimum:
            raise ImportError(f"tfvs needs {package} {wanted} or later; found {found}: pip install -U {package}.")


def import_tensorflow() -> None:
    """Imports TensorFlow and drops the messages that no log level hides; all others are passed on."""
    if "tensorflow" in sys.modules or os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
        return
    try:
        stderr = os.dup(2)
    except OSError:  # closed: nobody reads it
        return
    with _scratch_file() as said:
        os.dup2(said.fileno(), 2)
        try:
            with _without_what_cannot_start():
                importlib.import_module("tensorflow")
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            os.write(2, b"".join(line for line in said if not _BEFORE_LOG_LEVEL.match(line)))


def _name_missing_folders() -> None:
    """Sets a home and a temporary folder where there are none: some packages ask for them when they are imported.

    A container may run as a user that has no home, and have no folder that can be written to. Imports write nothing
    there; what writes there later fails then.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = "/tmp"
    if os.path.expanduser("~") == "~":
        os.environ["HOME"] = tempfile.gettempdir()


@contextlib.contextmanager
def _without_what_cannot_start() -> Iterator[None]:
    """Hides two optional packages from Keras where no temporary file can be written, which they do when imported."""
    hidden = ["matplotlib", "sklearn"] if not os.access(tempfile.gettempdir(), os.W_OK) else []
    hidden = [name for name in hidden if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _scratch_file() -> IO[bytes]:
    """A temporary file; in memory where the system can do that, since a container may have no folder to write to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


def _version(package: str) -> str | None:
    """Version of a distribution; TensorFlow has more than one distribution name."""
    for name in (package, f"{package}-cpu", f"{package}_cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
