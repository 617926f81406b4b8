"""Paths that a user gives are taken as names, never as patterns: listing a folder without globbing its path."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from tfvs.errors import ConfigError

# What glob, TensorFlow's and Beam's file systems and TFX's span specifications take for more than a character.
PATTERN_CHARACTERS = "*?[]{}"
_URI = re.compile(r"([a-zA-Z][-a-zA-Z0-9+.]*)://.*", re.DOTALL)


def scheme(uri: str) -> str | None:
    """The scheme of a URI; None for a path on this machine.

    >>> scheme("gs://bucket/name"), scheme("/data/name")
    ('gs', None)
    """
    found = _URI.fullmatch(uri)
    return found.group(1) if found else None


def is_local(uri: str) -> bool:
    """Whether a path lies on this machine's file systems."""
    return scheme(uri) is None


def has_pattern(path: str) -> bool:
    """Whether a glob would take the path for more than itself.

    >>> has_pattern("runs/run [1]"), has_pattern("runs/run 1")
    (True, False)
    """
    return any(character in path for character in PATTERN_CHARACTERS)


def require_literal(path: str, what: str) -> str:
    """The path, where libraries that this project hands it to would take some characters for a pattern.

    Args:
      path: Path or URI.
      what: What the path is, for the error.

    Returns:
      The path as it is.

    Raises:
      ConfigError: It holds one of these characters.
    """
    if has_pattern(path):
        raise ConfigError(
            f"{what} holds a character that TensorFlow, Beam or TFX take for a pattern",
            expected=f"a path without any of {' '.join(PATTERN_CHARACTERS)}",
            received=path,
            mend="Rename the folder: files of another folder would be read or removed in its place",
        )
    return path


def require_whole(path: str) -> str:
    """The path, unless it is half a path and half a URI.

    Raises:
      ConfigError: It holds ``://``, but not after a scheme.
    """
    if scheme(path) is None and "://" in path:
        raise ConfigError(
            "The path is half a URI", expected="a path, or a URI that begins with its scheme", received=path
        )
    return path


def require_local(path: str, what: str, mend: str) -> str:
    """The path, unless it is a URI, which would be taken for a folder of that name.

    Args:
      path: As it was given.
      what: The sentence of the error.
      mend: What to do instead.

    Raises:
      ConfigError: It is a URI, or half one.
    """
    if scheme(require_whole(path)) is not None:
        raise ConfigError(what, expected="a path", received=path, mend=mend)
    return path


def match_in_folder(pattern: str, list_folder: Callable[[str], list[str]]) -> list[str]:
    """Files of one folder whose names match: the folder is taken as it is, the last part of the path is a pattern.

    Args:
      pattern: For example ``records/Split-train/*``.
      list_folder: Names of the entries of a folder; empty where there is no such folder.

    Returns:
      Paths, sorted.
    """
    folder, slash, name = pattern.rpartition("/")
    entries = list_folder(folder or slash or ".")
    return sorted(f"{folder}{slash}{entry}" for entry in entries if entry == name or fnmatch.fnmatchcase(entry, name))
