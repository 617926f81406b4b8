"""A trained saccader → a SavedModel that stock TensorFlow Serving, TFMA and the embedded server run alike."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tfvs.errors import DataError, InputError
from tfvs.export.signatures import SaccaderSignatures, ServingSpec
from tfvs.export.warmup import write_warmup
from tfvs.models.saccader import VariationalSaccader

MAX_IMAGE_PX = 4096 * 4096
MAX_BATCH = 4096
MAX_IMAGES = 128
ROOTS_FILE = "image_roots.txt"
NAMES_FILE = "class_names.txt"


def export_saved_model(
    model: VariationalSaccader,
    path: str | os.PathLike[str],
    *,
    class_names: Sequence[str],
    proxy_size: tuple[int, int],
    proxy_channels: int,
    image_roots: Sequence[str | os.PathLike[str]],
    max_image_px: int = MAX_IMAGE_PX,
) -> str:
    """Writes the model with its signatures, warm-up requests, class names and image roots.

    The roots lie in ``assets/image_roots.txt``, one folder a line; the graph reads that file at every request, so a
    model that moves to another machine is adapted by editing it.

    Args:
      model: Built and trained.
      path: Folder of the SavedModel; for a server ``base/N``, see :func:`next_version`. An older export there is
        replaced.
      class_names: One a class, in the order of the logits.
      proxy_size: Height and width, pixels.
      proxy_channels: 1 or 3.
      image_roots: Folders pyramids may be read from; the first completes relative paths.
      max_image_px: Largest width times height that ``predict_images`` decodes.

    Returns:
      The path.

    Raises:
      InputError: The model is not built, or the arguments do not fit it.
      DataError: The path holds something else.
    """
    target = os.fspath(path)
    _check(model, class_names, proxy_channels, image_roots, max_image_px)
    spec = ServingSpec(
        proxy_height=proxy_size[0],
        proxy_width=proxy_size[1],
        proxy_channels=proxy_channels,
        bands=model.channels,
        max_image_px=max_image_px,
        max_batch=MAX_BATCH,
        max_images=MAX_IMAGES,
    )
    _make_room(target)
    with tempfile.TemporaryDirectory() as folder:
        roots_file, names_file = Path(folder, ROOTS_FILE), Path(folder, NAMES_FILE)
        roots_file.write_text("\n".join(map(_absolute, image_roots)) + "\n")
        names_file.write_text("\n".join(class_names) + "\n")
        module = SaccaderSignatures(model, spec, list(class_names), str(roots_file), str(names_file))
        partial = f"{target.rstrip('/')}.partial"
        if tf.io.gfile.exists(partial):
            tf.io.gfile.rmtree(partial)
        tf.saved_model.save(module, partial, signatures=module.signatures())
    write_warmup(partial, spec, model.config)
    tf.io.gfile.rename(partial, target)
    return target


def next_version(base_path: str | os.PathLike[str]) -> str:
    """The folder of a new version under a server's base path: one more than the newest, or 1."""
    base = os.fspath(base_path)
    entries = tf.io.gfile.listdir(base) if tf.io.gfile.isdir(base) else []
    versions = [int(entry.rstrip("/")) for entry in entries if entry.rstrip("/").isdecimal()]
    return os.path.join(base, str(max(versions, default=0) + 1))


def _check(
    model: VariationalSaccader,
    class_names: Sequence[str],
    proxy_channels: int,
    image_roots: Sequence[str | os.PathLike[str]],
    max_image_px: int,
) -> None:
    if not model.built:
        raise InputError("The model has no variables yet", mend="Call it once, or model.build, before the export")
    classes = model.config.num_classes
    if len(class_names) != classes or len(set(class_names)) != classes:
        raise InputError("The class names do not fit", expected=f"{classes} different names", received=class_names)
    if any("\n" in name or not name for name in class_names):
        raise InputError("A class name is empty or has a line break", received=class_names)
    if proxy_channels not in (1, 3):
        raise InputError("proxy_channels cannot be used", expected="1 or 3", received=proxy_channels)
    if not image_roots:
        raise InputError("There are no image roots", expected="the folders pyramids may be read from")
    if max_image_px < 1:
        raise InputError("max_image_px is too small", expected="1 or more", received=max_image_px)


def _absolute(root: str | os.PathLike[str]) -> str:
    text = os.fspath(root)
    return text if "://" in text else os.path.abspath(text)


def _make_room(target: str) -> None:
    """Removes an older export; creates the folder above."""
    if tf.io.gfile.exists(target):
        if tf.io.gfile.listdir(target) and not tf.io.gfile.exists(os.path.join(target, "saved_model.pb")):
            raise DataError(
                "The folder holds something else", expected="a new folder or an older export", received=target
            )
        tf.io.gfile.rmtree(target)
    tf.io.gfile.makedirs(os.path.dirname(os.path.abspath(target)) if "://" not in target else os.path.dirname(target))
