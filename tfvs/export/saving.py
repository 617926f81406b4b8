"""A trained saccader → a SavedModel that stock TensorFlow Serving, TFMA and the embedded server run alike."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfvs.errors import DataError, InputError
from tfvs.export.description import DESCRIPTION_FILE, MAX_IMAGE_PX, ModelDescription
from tfvs.export.image_roots import ROOTS_FILE
from tfvs.export.signatures import SaccaderSignatures
from tfvs.export.warmup import write_warmup
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.exporting import use_exporter
from tfvs.models.saccader import VariationalSaccader

NAMES_FILE = "class_names.txt"


def export_saved_model(
    model: VariationalSaccader,
    path: str | os.PathLike[str],
    *,
    class_names: Sequence[str],
    proxy: ProxyRecipe,
    image_roots: Sequence[str | os.PathLike[str]],
    dtype: str | None = None,
    max_side_px: int | None = None,
    conversion: Sequence[str] = (),
    max_image_px: int = MAX_IMAGE_PX,
    num_steps: int | None = None,
    temperature: float = 1.0,
) -> str:
    """Writes the model with its signatures, warm-up requests, description, class names and image roots.

    The roots lie in ``assets/image_roots.txt``, one folder per line; the graph reads that file at every request, so a
    model that moves to another machine is adapted by editing it. ``assets/model.json`` is the
    :class:`tfvs.export.description.ModelDescription`.

    Args:
      model: Built and trained.
      path: Folder of the SavedModel; for a server ``base/N``, see
        :func:`tfvs.export.versions.next_version`. An older export there is
        replaced once the new one is complete.
      class_names: One per class, in the order of the logits.
      proxy: How the proxies of the training set were made; :func:`tfvs.data.dataset.read_manifest` gives it.
      image_roots: Folders pyramids may be read from; the first completes relative paths.
      dtype: Depth that the images of the training set were brought to, ``"uint8"`` or ``"uint16"``; None: they kept
        their own.
      max_side_px: Longer side that larger images of the training set were reduced to, pixels; None: none were.
      conversion: Other ways in which they were changed, in words; whole images are then refused.
      max_image_px: Largest width times height that ``predict_images`` decodes.
      num_steps: Looks per image; None for as many as in training. Models with one anchor per look take no other.
      temperature: What logits are divided by before they become probabilities;
        :func:`tfvs.evaluation.temperature.temperature_of` finds it.

    Returns:
      The path.

    Raises:
      InputError: The model is not built, or the arguments do not fit it.
      ConfigError: A value that no model can have, or a number of looks that this one cannot take.
      DataError: The path holds something else.
    """
    target = os.fspath(path)
    _check(model, class_names, proxy, image_roots)
    if num_steps is not None and num_steps != model.config.num_steps:
        model = model.adapted(num_steps=num_steps)
    config = model.config
    description = ModelDescription(
        proxy=proxy,
        class_names=tuple(class_names),
        num_steps=config.crops_per_image,
        num_samples=config.num_samples,
        crop_size=config.crop_size,
        margin_px=config.margin_px,
        max_level=config.max_level,
        min_scale=config.min_scale * min(config.scales),
        bands=model.channels,
        dtype=dtype,
        max_side_px=max_side_px,
        conversion=tuple(conversion),
        max_image_px=max_image_px,
        temperature=temperature,
    )
    _check_target(target)
    unique = uuid.uuid4().hex
    partial, old = (f"{target.rstrip('/')}.{unique}.{state}" for state in ("partial", "old"))
    try:
        _save(model, description, partial, image_roots)
        write_warmup(partial, description)
        if tf.io.gfile.exists(target):
            tf.io.gfile.rename(target, old)
        try:
            tf.io.gfile.rename(partial, target)
        except BaseException:
            if tf.io.gfile.exists(old):
                tf.io.gfile.rename(old, target)
            raise
    finally:
        for leftover in (partial, old):
            if tf.io.gfile.exists(leftover):
                tf.io.gfile.rmtree(leftover)
    return target


def _save(
    model: VariationalSaccader,
    description: ModelDescription,
    path: str,
    image_roots: Sequence[str | os.PathLike[str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = {
            ROOTS_FILE: "".join(f"{_absolute(root)}\n" for root in image_roots),
            NAMES_FILE: "".join(f"{name}\n" for name in description.class_names),
            DESCRIPTION_FILE: json.dumps(description.to_dict(), indent=2) + "\n",
        }
        for name, text in files.items():
            Path(folder, name).write_text(text)
        module = SaccaderSignatures(model, description, {name: str(Path(folder, name)) for name in files})
        tf.saved_model.save(module, path, signatures=module.signatures())


def _check(
    model: VariationalSaccader,
    class_names: Sequence[str],
    proxy: ProxyRecipe,
    image_roots: Sequence[str | os.PathLike[str]],
) -> None:
    if not model.built:
        raise InputError("The model has no variables yet", mend="Call it once, or model.build, before the export")
    classes = model.config.num_classes
    if len(class_names) != classes:
        raise InputError("The class names do not fit", expected=f"{classes} different names", received=class_names)
    if tuple(model.proxy_shape) != proxy.shape:
        raise InputError("The model was built for other proxies", expected=model.proxy_shape, received=proxy.shape)
    if not image_roots:
        raise InputError("There are no image roots", expected="the folders pyramids may be read from")


def _absolute(root: str | os.PathLike[str]) -> str:
    text = os.fspath(root)
    return text if "://" in text else os.path.abspath(text)


def _check_target(target: str) -> None:
    """Refuses a folder that holds anything but an older export; creates the folder above."""
    if (
        tf.io.gfile.exists(target)
        and tf.io.gfile.listdir(target)
        and not tf.io.gfile.exists(os.path.join(target, "saved_model.pb"))
    ):
        raise DataError("The folder holds something else", expected="a new folder or an older export", received=target)
    tf.io.gfile.makedirs(os.path.dirname(os.path.abspath(target)) if "://" not in target else os.path.dirname(target))


def export_model(model: VariationalSaccader, path: str | os.PathLike[str], **options: Any) -> str:
    """As :func:`export_saved_model`; what is not given is what the model was told of its images.

    Args:
      model: Built and trained.
      path: Folder of the SavedModel.
      **options: Arguments of :func:`export_saved_model`.

    Returns:
      The path.

    Raises:
      InputError: The model knows nothing of its images, and something is not given.
    """
    told = model.image_set
    known = {} if told is None else {**vars(told), "image_roots": told.roots}
    known.pop("roots", None)
    given = {**known, **options}
    if missing := [name for name in ("class_names", "proxy", "image_roots") if name not in given]:
        raise InputError(
            "The model does not know what its images are",
            expected=f"export(path, {', '.join(f'{name}=…' for name in missing)})",
            mend="Or fit it to a dataset of tfvs.datasets.image_dataset_from_directory, which tells them",
        )
    return export_saved_model(model, path, **given)


use_exporter(export_model)
