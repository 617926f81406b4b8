"""The folders that an exported model may read images from: the format of ``assets/image_roots.txt``.

One folder per line. The file is edited by hand when a model moves, so a carriage return, a byte order mark, blanks at
either end of a line, empty lines, ``/./``, doubled slashes and ``file://`` do not matter. The format is written twice,
in Python for the embedded server and in TensorFlow for every other server, and a test holds both to the same answers.
"""

from __future__ import annotations

import os
import re

import tensorflow as tf

from tfvs.errors import DataError

ROOTS_FILE = "image_roots.txt"
_BOM = "\ufeff"
_BLANKS = " \t\n\v\f\r"  # what tf.strings.strip takes for blanks
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")


def parse_image_roots(contents: bytes, source: str) -> list[str]:
    """The folders, in order; relative image paths are below the first.

    Args:
      contents: Contents of the file; folder names may hold any bytes, as file names may.
      source: Path of the file, for the error.

    Returns:
      Absolute local folders and folders with a scheme such as ``gs://bucket/images``.

    Raises:
      DataError: The file names no folder, or one that is neither absolute nor has a scheme, or climbs with ``..``.
    """
    text = contents.decode("utf-8", "surrogateescape").removeprefix(_BOM)
    roots = [_tidy(line) for line in (raw.strip(_BLANKS) for raw in text.split("\n")) if line]
    for root in roots:
        remote = _REMOTE.fullmatch(root)
        if not (root.startswith("/") or remote) or ".." in root.split("/") or "\0" in root:
            raise DataError(
                f"The image roots in {source} cannot be used",
                expected="absolute folders, one per line, without ..",
                received=root,
            )
    if not roots:
        raise DataError(f"The image roots in {source} are empty", expected="one folder per line")
    return roots


def read_image_roots(model_dir: str | os.PathLike[str]) -> list[str]:
    """The folders that the model of a folder may read images from; none for a model without such a file.

    Args:
      model_dir: SavedModel.
    """
    path = os.path.join(model_dir, tf.saved_model.ASSETS_DIRECTORY, ROOTS_FILE)
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path, "rb") as file:
        return parse_image_roots(file.read(), path)


def _tidy(line: str) -> str:
    root = re.sub(r"^file://", "", line)
    if root.startswith("/"):
        root = re.sub(r"/+", "/", re.sub(r"(/+\.)+(/|$)", "/", root))
    return root


def image_roots_in_graph(contents: tf.Tensor) -> tf.Tensor:
    """The folders of the file's contents, as :func:`parse_image_roots` reads them.

    Args:
      contents: Scalar string.

    Returns:
      ``[R]`` string.
    """
    begins = tf.equal(tf.strings.substr(contents, 0, 3), _BOM.encode())
    contents = tf.cond(begins, lambda: tf.strings.substr(contents, 3, tf.strings.length(contents)), lambda: contents)
    lines = tf.strings.strip(tf.strings.split(contents, "\n"))
    lines = tf.boolean_mask(lines, tf.not_equal(lines, ""))
    roots = tf.strings.regex_replace(lines, r"^file://", "")
    tidy = tf.strings.regex_replace(tf.strings.regex_replace(roots, r"(/+\.)+(/|$)", "/"), r"/+", "/")
    return tf.where(tf.equal(tf.strings.substr(roots, 0, 1), "/"), tidy, roots)
