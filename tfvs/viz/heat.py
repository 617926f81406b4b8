"""Where several sampled trajectories look: a density of places, and its picture."""

from __future__ import annotations

import numpy as np

from tfvs.errors import InputError
from tfvs.viz.saccade import as_boxes


def heat_of_places(samples: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The share of trajectories that look at each place.

    A place counts once per trajectory, however many of its steps cover it; a cell at a box's edge counts by the share
    that the box covers.

    Args:
      samples: ``[N, T, 4]`` boxes ``[y0, x0, y1, x1]`` in [0, 1]: N sampled trajectories of T steps.
      shape: Height and width of the result, cells.

    Returns:
      ``[height, width]`` float64 in [0, 1].

    Raises:
      InputError: Another shape, or boxes that are none.

    >>> heat_of_places(np.array([[[0, 0, 1, 0.5]], [[0, 0, 1, 1]]]), (1, 2)).tolist()
    [[1.0, 0.5]]
    """
    array = np.asarray(samples, np.float64)
    if array.ndim != 3 or array.shape[-1] != 4 or 0 in array.shape:
        raise InputError("Sampled boxes have another shape", expected="[N, T, 4]", received=array.shape)
    if min(shape) < 1:
        raise InputError("The heat has no cells", expected="at least 1 by 1", received=shape)
    as_boxes(array.reshape(-1, 4))
    heat = np.zeros(shape)
    for trajectory in array:
        covered = np.zeros(shape)
        for y0, x0, y1, x1 in trajectory:
            covered = np.maximum(covered, np.outer(_coverage(y0, y1, shape[0]), _coverage(x0, x1, shape[1])))
        heat += covered
    return heat / len(array)


def _coverage(start: float, end: float, cells: int) -> np.ndarray:
    """The share of each of ``cells`` cells of [0, 1] that lies in [start, end]."""
    edges = np.arange(cells + 1) / cells
    return np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0.0, None) * cells


def heat_picture(heat: np.ndarray) -> np.ndarray:
    """A heat as a picture to lay over the image: transparent where no trajectory looks.

    Args:
      heat: ``[h, w]`` float in [0, 1].

    Returns:
      ``[h, w, 4]`` uint8 RGBA, not premultiplied.
    """
    from matplotlib import colormaps

    peak = max(float(heat.max()), 1e-12)
    rgba = colormaps["inferno"](0.15 + 0.8 * heat / peak)  # neither its black nor its white end
    rgba[..., 3] = 0.75 * np.sqrt(heat / peak)
    return np.round(rgba * 255.0).astype(np.uint8)
