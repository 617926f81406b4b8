"""The slanted view of a simulated battle: a square map, of which the screen shows a trapezium."""

from __future__ import annotations

import functools

import numpy as np

# What the screen shows of the map, [x, y] in [0, 1]: upper left, upper right, lower right, lower left. What is further
# up is further away, so the screen shows more of the map there. The minimap shows all of it.
CORNERS = ((0.03, 0.05), (0.97, 0.05), (0.90, 0.95), (0.10, 0.95))
_SCREEN = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def homography(source: tuple[tuple[float, float], ...], target: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The projective map ``[3, 3]`` that takes four points to four others."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(values, float)), 1.0).reshape(3, 3)


@functools.lru_cache(maxsize=1)
def to_screen() -> np.ndarray:
    """From the map to the screen, ``[3, 3]``."""
    return homography(CORNERS, _SCREEN)


def project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points ``[N, 2]`` ``[x, y]`` through a projective map."""
    whole = np.concatenate([points, np.ones([len(points), 1])], 1) @ matrix.T
    return whole[:, :2] / whole[:, 2:]


def magnification(points: np.ndarray) -> np.ndarray:
    """How much larger a small thing at points ``[N, 2]`` of the map is on the screen, both as parts of the side."""
    matrix = to_screen()
    depth = points @ matrix[2, :2] + matrix[2, 2]
    return np.sqrt(abs(np.linalg.det(matrix)) / np.abs(depth) ** 3)
