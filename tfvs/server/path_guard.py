"""Image paths of requests are confined to the image roots and opened here; the graph only reads what was opened.

The exported graph confines paths by their text, because no stock operation can tell a link. Here a path that a client
sends never reaches the graph: it is replaced by the name of a descriptor that was checked, or by one that the graph
refuses. So the graph and this process cannot read a path differently.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfvs.data.example import PYRAMID_URI
from tfvs.server.log_limits import OncePerCause, RateLimit
from tfvs.server.safe_open import PATH_MAX, PathRefusedError, descriptor_path, is_below, open_below, real_folder
from tfvs.server.servable import Arrays, Servable
from tfvs.server.status import RequestError

EXAMPLES, PATH = "examples", "path"
REFUSED = b".."  # never a valid path: the graph answers that image as invalid, and the others as usual
NO_EXAMPLE = b"\xff"  # cannot be parsed by anything: the graph answers that it is no Example
_OURS = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # no client can cause them with a path
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_CLIMBS = re.compile(rb"(^|[/\\])\.\.([/\\]|$)")


@dataclass(frozen=True)
class _Folders:
    """Where one request's paths may lead.

    Attributes:
      first: Completes relative paths.
      local: Local folders as they are configured; an absolute path begins with one of them.
      real: Where local folders really lie, narrowed or not: the file must be below one of each group.
      remote: Folders with a scheme.
    """

    first: bytes
    local: list[bytes]
    real: list[list[bytes]]
    remote: list[list[bytes]]


class PathGuard:
    """Opens the images that a request names.

    Args:
      image_roots: Folders to narrow to, beside those of the export; empty: the export's alone.
    """

    def __init__(self, image_roots: Sequence[str] = ()) -> None:
        self._narrower = [os.fsencode(root) for root in image_roots]
        self._open, self._lock = 0, threading.Lock()
        self._refusals, self._faults = RateLimit(), OncePerCause()

    @contextmanager
    def opened(self, servable: Servable, inputs: Arrays) -> Iterator[Arrays]:
        """The inputs with every path replaced by an opened one, for as long as the context lasts.

        The context must last until the computation has ended, not only until its client has gone: a descriptor's number
        is used again.

        Args:
          servable: One exported by :mod:`tfvs.export.saving`; any other passes unchanged.
          inputs: ``path`` and ``examples`` are looked at.

        Raises:
          RequestError: RESOURCE_EXHAUSTED, the images of all requests together are more than may be open.
        """
        named = [key for key in (PATH, EXAMPLES) if key in inputs and inputs[key].dtype == object]
        if not servable.image_roots or not named:
            yield inputs
            return
        opener = _Opener(self, servable.image_roots)
        try:
            replaced = dict(inputs)
            for key in named:
                replace = opener.path if key == PATH else opener.example
                values = [replace(tf.compat.as_bytes(value)) for value in inputs[key].ravel()]
                replaced[key] = np.array(values, object).reshape(inputs[key].shape)
            yield replaced
        finally:
            opener.close()

    def folders(self, roots: Sequence[bytes]) -> _Folders:
        """Where paths may lead now: links of the folders themselves are followed at every request."""
        groups = [roots, self._narrower] if self._narrower else [roots]
        return _Folders(
            first=roots[0],
            local=[root for root in roots if not _is_remote(root)],
            real=[[real for root in group if not _is_remote(root) and (real := self._real(root))] for group in groups],
            remote=[[root for root in group if _is_remote(root)] for group in groups],
        )

    def take(self) -> None:
        """Counts a descriptor that is about to be opened; half of what the process may open is left to connections."""
        with self._lock:
            if self._open >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
                raise RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "More images are asked for than may be open.")
            self._open += 1

    def give_back(self, count: int) -> None:
        """Counts descriptors that were closed."""
        with self._lock:
            self._open -= count

    def refuse(self, path: bytes, why: str) -> bytes:
        """Logs a path that is not read, at a limited rate; the path that the graph gets instead."""
        shown = path[:200].decode("utf-8", "backslashreplace")
        self._refusals.warning("Image path %r is refused: %s", shown, why)
        return REFUSED

    def fault(self, path: bytes, error: OSError) -> None:
        """Logs what is wrong with the deployment rather than with a request, once per cause."""
        self._faults.error("Cannot read %s: %s", os.fsdecode(path), error.strerror)

    def _real(self, root: bytes) -> bytes | None:
        try:
            return real_folder(root)
        except OSError as error:
            self.fault(root, error)
            return None


class _Opener:
    """Opens the images of one request, each once."""

    def __init__(self, guard: PathGuard, roots: Sequence[str]) -> None:
        self._guard = guard
        self._folders = guard.folders([os.fsencode(root) for root in roots])
        self._descriptors: list[int] = []
        self._known: dict[bytes, bytes] = {}

    def path(self, path: bytes) -> bytes:
        """The path that the graph reads in place of a client's."""
        if path not in self._known:
            self._known[path] = self._open(path)
        return self._known[path]

    def example(self, serialized: bytes) -> bytes:
        """The Example that the graph parses in place of a client's: made anew from what was understood here.

        Bytes can be a message to one parser and another to the next (an entry given twice, two members of a oneof,
        unknown fields). What is written here has none of that.
        """
        example = tf.train.Example()
        try:
            if example.ParseFromString(serialized) != len(serialized):
                return NO_EXAMPLE
        except DecodeError:
            return NO_EXAMPLE
        example.DiscardUnknownFields()
        feature = example.features.feature
        if PYRAMID_URI in feature:
            values = feature[PYRAMID_URI].bytes_list.value
            path = self.path(values[0]) if len(values) == 1 else REFUSED
            feature[PYRAMID_URI].bytes_list.value[:] = [path]
        return example.SerializeToString(deterministic=True)

    def close(self) -> None:
        """Closes what was opened."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._guard.give_back(len(self._descriptors))
        self._descriptors = []

    def _open(self, path: bytes) -> bytes:
        folders = self._folders
        if len(path) > PATH_MAX or not path or b"\0" in path or _CLIMBS.search(path):
            return self._guard.refuse(path, "empty, too long, or it climbs with ..")
        if _SCHEME.match(path):
            return (
                path if _allowed(path, folders.remote) else self._guard.refuse(path, "another scheme than the roots'")
            )
        if not path.startswith(b"/"):
            path = folders.first.rstrip(b"/") + b"/" + path
            if _is_remote(path):
                return path if _allowed(path, folders.remote) else self._guard.refuse(path, "outside --image_root")
        elif not any(is_below(path, root) for root in folders.local):
            return self._guard.refuse(path, "outside the image roots")
        return self._open_local(path)

    def _open_local(self, path: bytes) -> bytes:
        self._guard.take()
        descriptor = -1
        try:
            descriptor = open_below(path, self._folders.real)
        except PathRefusedError as error:
            return self._guard.refuse(path, str(error))
        except OSError as error:
            if error.errno in _OURS:
                self._guard.fault(path, error)
            return self._guard.refuse(path, os.strerror(error.errno or 0))
        finally:
            if descriptor < 0:
                self._guard.give_back(1)
        self._descriptors.append(descriptor)
        return descriptor_path(descriptor)


def _is_remote(root: bytes) -> bool:
    return _SCHEME.match(root) is not None


def _allowed(path: bytes, groups: list[list[bytes]]) -> bool:
    """Whether a path lies under one folder of each group, by its text."""
    return all(any(is_below(path, folder) for folder in group) for group in groups)
