"""TensorFlow's own file functions on ``s3://``, which TFX, TFMA, checkpoints and SavedModels go through.

TensorFlow has none for that scheme; the package tensorflow-io brings them. Tiles are not read with it: see
:mod:`tfvs.storage.tiles`.
"""

from __future__ import annotations

import atexit
import ctypes
import os

from tfvs.errors import ResourceError
from tfvs.paths import scheme
from tfvs.storage.options import StorageOptions

_taught = False


def teach_tensorflow(*uris: str) -> None:
    """Has TensorFlow read and write ``s3://`` in this process, where one of the paths is such a URI.

    Server and region are those of :class:`tfvs.storage.options.StorageOptions`; credentials are those of the
    environment or of ``~/.aws``.

    Args:
      *uris: Paths and URIs that TensorFlow will be given.

    Raises:
      ResourceError: The package is not installed.
    """
    global _taught
    if _taught or not any(scheme(uri) == "s3" for uri in uris):
        return
    options = StorageOptions.from_environment()
    if options.s3_endpoint is not None:
        os.environ.setdefault("S3_ENDPOINT", options.s3_endpoint)
    os.environ.setdefault("AWS_REGION", options.s3_region or "us-east-1")
    try:
        import tensorflow_io  # noqa: F401  importing it is what teaches TensorFlow
    except ImportError as error:
        raise ResourceError(
            "TensorFlow itself reads s3:// with a package that is not installed",
            received=str(error),
            mend="pip install 'tfvs[tfx-s3]'",
        ) from error
    atexit.register(_end_at_once)
    _taught = True


def _end_at_once() -> None:
    """Ends the process with its exit code once Python is done, before the library's destructors, which abort it.

    They end with "pure virtual method called" and exit code 134 otherwise. What is registered last is called first, so
    this is registered while Python ends: https://man7.org/linux/man-pages/man3/on_exit.3.html.
    """
    library = ctypes.CDLL(None)
    library.on_exit.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.on_exit(ctypes.cast(library._exit, ctypes.c_void_p), None)
