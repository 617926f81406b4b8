"""One image: source file → pyramid in the store → proxy → record. Nothing that imports TFX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from tfvs.data.records import ImageRecord
from tfvs.errors import ResourceError
from tfvs.preparation import files
from tfvs.preparation.decode import Decoded, Refused, Task, decode
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.pyramid_store import stored
from tfvs.preparation.slide_parts import with_parts
from tfvs.preparation.sources import Rejected, Source


def convert(
    source: Source,
    options: PrepareOptions,
    pyramid_root: str,
    run: Callable[[Task], Decoded | Refused] = decode,
) -> ImageRecord | Rejected:
    """Converts one image.

    Args:
      source: The image.
      options: Options of pyramid and proxy.
      pyramid_root: Where pyramids lie, by content: what is there already is used again.
      run: What decodes, here or in another process; it sees local files alone.

    Returns:
      The record, or why there is none.

    Raises:
      ResourceError: The disk is full or the root cannot be written to: whatever the image.
    """
    sha256, stage = "", "read"
    try:
        with contextlib.ExitStack() as stack:
            path, sha256 = stack.enter_context(files.local_copy(source.uri))
            sha256 = with_parts(source.uri, sha256)
            stage, proxy_path = "proxy", None
            if source.proxy_uri is not None:
                proxy_path, _ = stack.enter_context(files.local_copy(source.proxy_uri))
            stage, key = "pyramid", options.pyramid_key(sha256)
            relative = f"{key[:2]}/{key}.tif"
            with stored(pyramid_root, relative) as pyramid:
                decoded = run(Task(path, proxy_path, pyramid, options, sha256))
    except OSError as error:
        if stage == "pyramid":
            raise ResourceError(
                "Pyramids cannot be written",
                received=error,
                mend=f"Check free space and permissions of {pyramid_root}, then start again: what is done is kept",
            ) from error
        return Rejected(source.uri, stage, f"{type(error).__name__}: {error}", sha256, source.image_id)
    except ValueError as error:  # a path that no file system takes, such as one with a NUL
        if stage == "pyramid":
            raise
        return Rejected(source.uri, stage, f"The path cannot be read: {error}", sha256, source.image_id)
    if isinstance(decoded, Refused):
        return Rejected(source.uri, decoded.stage, decoded.reason, sha256, source.image_id)
    return ImageRecord(
        source.image_id,
        source.label,
        sha256,
        decoded.proxy,
        relative,
        decoded.index,
        decoded.micrometres_per_px,
        decoded.notes,
    )
