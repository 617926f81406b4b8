"""Boxes as GeoJSON in pixels of the image, the form in which QuPath and other viewers read annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfvs.errors import InputError
from tfvs.viz.files import write_atomically
from tfvs.viz.palette import step_colour
from tfvs.viz.saccade import as_boxes, as_evidence, evidence_words


def boxes_to_geojson(
    boxes: np.ndarray,
    image_size: tuple[int, int],
    *,
    classification: str | None = None,
    kl: Sequence[float] | np.ndarray | None = None,
    evidence: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    path: bool = True,
) -> dict[str, Any]:
    """Boxes as a FeatureCollection: a rectangle per step, and the line that joins their centres.

    Coordinates are pixels of level 0, x to the right and y downwards from the top left corner, not rounded.

    Args:
      boxes: ``[T, 4]`` float ``[y0, x0, y1, x1]`` in [0, 1], in the order of the steps.
      image_size: Height and width, pixels.
      classification: Name of the annotations' class, for example the predicted one.
      kl: ``[T]`` float, nats; kept as a measurement of its box.
      evidence: ``[T, K]`` float, nats; kept as K measurements of its box, and the one for ``classification``, less the
        mean over the classes, in the box's name.
      class_names: K names, for the evidence.
      path: Whether to add the line.

    Returns:
      A dictionary ready for ``json.dump``.

    Raises:
      InputError: Shapes that do not belong together, or an image without pixels.

    >>> collection = boxes_to_geojson(np.array([[0.0, 0.25, 0.5, 0.75]]), (100, 200))
    >>> collection["features"][0]["geometry"]["coordinates"]
    [[[50.0, 0.0], [150.0, 0.0], [150.0, 50.0], [50.0, 50.0], [50.0, 0.0]]]
    """
    checked = as_boxes(boxes)
    if len(image_size) != 2 or min(image_size) < 1:
        raise InputError("The image has no pixels", expected="(height, width), at least 1", received=image_size)
    if kl is not None and len(kl) != len(checked):
        raise InputError("kl has one value per step", expected=f"[{len(checked)}]", received=f"[{len(kl)}]")
    if evidence is not None:
        evidence = as_evidence(evidence, len(checked), len(class_names))
    height, width = image_size
    pixels = checked * np.array([height, width, height, width], np.float64)
    features = []
    for step, (y0, x0, y1, x1) in enumerate(pixels.tolist()):
        ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        measurements: dict[str, float] = {"step": step + 1}
        if kl is not None:
            measurements["KL (nats)"] = float(kl[step])
        name = f"step {step + 1}"
        if evidence is not None:
            for label, nats in zip(class_names, evidence[step].tolist(), strict=True):
                measurements[f"evidence for {label} (nats)"] = nats
            if classification in class_names:
                words = evidence_words(evidence[step], class_names, list(class_names).index(str(classification)))
                name = f"{name}: {words}"
        features.append(_feature("Polygon", [ring], name, step_colour(step), classification, measurements))
    if path and len(pixels) > 1:
        centres = [[(x0 + x1) / 2, (y0 + y1) / 2] for y0, x0, y1, x1 in pixels.tolist()]
        features.append(_feature("LineString", centres, "path", "#FFFFFF", classification, {"steps": len(centres)}))
    return {"type": "FeatureCollection", "features": features}


def _feature(
    kind: str, coordinates: list, name: str, colour: str, classification: str | None, measurements: dict[str, float]
) -> dict[str, Any]:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    properties: dict[str, Any] = {
        "objectType": "annotation",
        "name": name,
        "color": rgb,
        "isLocked": True,
        "measurements": measurements,
    }
    if classification is not None:
        properties["classification"] = {"name": classification, "color": rgb}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def write_geojson(path: str | os.PathLike[str], collection: dict[str, Any]) -> Path:
    """Writes a FeatureCollection, whole or not at all.

    Args:
      path: Destination, ``.geojson``.
      collection: As :func:`boxes_to_geojson` returns it.

    Returns:
      The destination.

    Raises:
      ResourceError: The destination cannot be written.
    """
    return write_atomically(path, json.dumps(collection, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
