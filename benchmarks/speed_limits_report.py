"""What the benchmark on street photographs reports of answers and looks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvs.datasets.gtsdb import HEIGHT_PX, SPEED_LIMITS, WIDTH_PX, Sign, label_of_kind
from tfvs.evaluation.scores import share

WIDTHS_PX = (20, 28, 36)


def report_answers(labels: np.ndarray, answers: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """Accuracies, shares of limits read right and of false alarms, and the confusion matrix.

    Args:
      labels: ``[N]`` class of each photograph.
      answers: ``[N]`` class answered.
      seed: Seed of the bootstrap for the interval of the balanced accuracy: resampled within each class.

    Returns:
      Shares in [0, 1] with 95 % intervals; a share of no photographs is None.
    """
    right, classes = answers == labels, len(SPEED_LIMITS)
    random = np.random.default_rng(seed)
    by_class = [right[labels == label] for label in range(classes) if (labels == label).any()]
    draws = [np.mean([random.choice(of_one, len(of_one)).mean() for of_one in by_class]) for _ in range(2000)]
    found: dict[str, Any] = {
        "photographs": len(labels),
        "balanced_accuracy": float(np.mean([of_one.mean() for of_one in by_class])),
        "balanced_accuracy_interval": [float(edge) for edge in np.quantile(draws, [0.025, 0.975])],
        "confusion": np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes).tolist(),
    }
    shares = {
        "accuracy": right,
        "limits_right": right[labels > 0],
        "false_alarms": (answers > 0)[labels == 0],
    }
    for name, values in shares.items():
        found[name] = float(values.mean()) if len(values) else None
        interval = share(int(values.sum()), len(values))
        found[f"{name}_interval"] = [interval.low, interval.high] if len(values) else None
    return found


def report_looks(boxes: np.ndarray, signs: Sequence[Sequence[Sign]]) -> dict[str, Any]:
    """Shares of the limit signs that lie wholly in a look, and whose centres do; the latter also by the signs' width.

    Args:
      boxes: ``[N, T, 4]`` of the looks.
      signs: Signs of each photograph; others than limits are not counted.
    """
    limits = label_of_kind(SPEED_LIMITS)
    whole, centre, widths = [], [], []
    for looks, shown in zip(boxes, signs, strict=True):
        for sign in (sign for sign in shown if sign.kind in limits):
            box = np.array(sign.box(HEIGHT_PX, WIDTH_PX))
            middle = (box[:2] + box[2:]) / 2
            inside = (looks[:, :2] <= box[:2]) & (looks[:, 2:] >= box[2:])
            whole.append(inside.all(-1).any())
            centre.append(((looks[:, :2] <= middle) & (looks[:, 2:] >= middle)).all(-1).any())
            widths.append(sign.right - sign.left + 1)
    if not whole:
        return {"signs_inside_a_look": None, "signs_centre_inside": None, "centre_inside_by_width": {}}
    classes = np.digitize(widths, WIDTHS_PX)
    by_width = {
        f"{low} to {high} px": {"signs": int((classes == n).sum()), "share": float(np.mean(centre, where=classes == n))}
        for n, (low, high) in enumerate(itertools.pairwise((0, *WIDTHS_PX, WIDTH_PX)))
        if (classes == n).any()
    }
    return {
        "signs_inside_a_look": float(np.mean(whole)),
        "signs_centre_inside": float(np.mean(centre)),
        "centre_inside_by_width": by_width,
    }


def pixels_read(proxy_pixels: int, crop_px: int, crops: int) -> float:
    """Pixels of the proxy and of all crops, as a share of the photograph's; overlaps count twice."""
    return (proxy_pixels + crops * crop_px**2) / (HEIGHT_PX * WIDTH_PX)
