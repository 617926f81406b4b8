"""A saccade from an image file and a model's answer: what the sheets and the viewer draw."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pyvips

from tfvs.images.reading import normalize, open_image
from tfvs.viz.saccade import Saccade, as_boxes

OVERVIEW_PX = 900
CROP_PX = 160


def saccade_from_image(
    image: str | os.PathLike[str] | pyvips.Image,
    boxes: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    proxy: np.ndarray | None = None,
    true: int | None = None,
    kl: np.ndarray | None = None,
    entropy: float | None = None,
    title: str = "",
    evidence: np.ndarray | None = None,
    posterior_map: np.ndarray | None = None,
    max_steps: int | None = None,
) -> Saccade:
    """Reads an overview and the crops of an image, and puts them together with a model's answer.

    Crops are cut from the finest level for display, so they may be sharper than what the model read.

    Args:
      image: A path, or an image opened with random access.
      boxes: ``[T, 4]`` float ``[y0, x0, y1, x1]`` in [0, 1].
      probabilities: ``[K]`` float.
      class_names: K names.
      proxy: ``[h, w, c]``, what the recurrent model read; the overview where it is not given.
      true: Index of the true class; None where it is unknown.
      kl: ``[T]`` float, nats.
      entropy: Entropy of the probabilities, nats.
      title: Name of the picture.
      evidence: ``[T, K]`` float, nats.
      posterior_map: ``[rows, columns]`` float.
      max_steps: Steps after this many are left out; None keeps all.

    Returns:
      The saccade.

    Raises:
      ImageError: The image cannot be opened.
      pyvips.Error: Its pixels cannot be decoded.
      InputError: Shapes do not belong together.
    """
    if not isinstance(image, pyvips.Image):
        image = open_image(image, random_access=True)
    pixels = normalize(image, dtype="uint8", bands=1 if image.bands < 3 else 3)
    shown = as_boxes(boxes)[:max_steps]
    overview = pixels.thumbnail_image(OVERVIEW_PX, height=OVERVIEW_PX, size="down").numpy()
    return Saccade(
        overview=overview,
        proxy=overview if proxy is None else proxy,
        boxes=shown,
        crops=np.stack([_crop(pixels, box) for box in shown]),
        probabilities=np.clip(probabilities, 0.0, 1.0),
        class_names=class_names,
        true=true,
        kl=None if kl is None else kl[:max_steps],
        entropy=entropy,
        title=title,
        image_size=(pixels.height, pixels.width),
        evidence=None if evidence is None else evidence[:max_steps],
        posterior_map=posterior_map,
    )


def _crop(image: pyvips.Image, box: np.ndarray) -> np.ndarray:
    """``[CROP_PX, CROP_PX, c]`` uint8."""
    y0, x0, y1, x1 = np.clip(box, 0.0, 1.0) * [image.height, image.width, image.height, image.width]
    left, top = min(int(x0), image.width - 1), min(int(y0), image.height - 1)
    width = min(max(round(x1 - left), 1), image.width - left)
    height = min(max(round(y1 - top), 1), image.height - top)
    crop = image.crop(left, top, width, height)
    kernel = "linear" if width > CROP_PX else "nearest"
    pixels = crop.resize(CROP_PX / width, vscale=CROP_PX / height, kernel=kernel).numpy()
    pixels = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    return pixels[:CROP_PX, :CROP_PX]
