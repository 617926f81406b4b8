"""Signs cut out of GTSDB's photographs by their boxes, to be pasted into others for training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tfvs.datasets.gtsdb import (
    FOLDERS,
    GROUND_TRUTH,
    MIRRORABLE,
    NONE,
    SIGNS,
    SPEED_LIMITS,
    SUFFIXES,
    Sign,
    label_of_kind,
    read_signs,
)
from tfvs.errors import DataError
from tfvs.images.cut_outs import CutOut, PasteBank, PasteConfig, cut_out
from tfvs.images.reading import read_array

# Many signs are pasted smaller than those that they are cut from, and darker: few of the photographs' own are of the
# least sizes, and few in the dark.
PASTES = PasteConfig(size=(0.65, 1.2), brightness=(0.3, 1.4))
_ROUND = {*range(11), 15, 16, 17, *range(32, 43), SIGNS.index("stop")}


def load_signs(data: Path) -> tuple[Path, dict[str, list[Sign]]]:
    """The folder of the photographs, and their signs; for evaluation and pasting, never for the model.

    Args:
      data: GTSDB, in one of its layouts.

    Raises:
      DataError: There is no ground truth, or it cannot be read.
    """
    for folder in FOLDERS:
        path = data / folder / GROUND_TRUTH
        if path.exists():
            return path.parent, read_signs(path.read_text())
    raise DataError("There is no GTSDB data set", expected=GROUND_TRUTH, received=data)


def make_bank(data: Path, ids: Iterable[str], class_names: Sequence[str] = SPEED_LIMITS) -> PasteBank:
    """All signs of some photographs, cut out; signs of no class are look-alikes.

    Args:
      data: GTSDB.
      ids: Ids of the photographs, such as ``"00012"``: those for training.
      class_names: See :func:`tfvs.datasets.gtsdb.label_of_kind`.

    Raises:
      DataError: A photograph is not there.
      ConfigError: No sign of a class is in them.
    """
    root, signs = load_signs(data)
    labels, none_class = label_of_kind(class_names), list(class_names).index(NONE)
    cuts: list[CutOut] = []
    places: list[tuple[float, float, float]] = []
    for stem in ids:
        if not (found := signs.get(stem)):
            continue
        pixels = read_array(photograph(root, stem))
        height, width = pixels.shape[:2]
        for sign in found:
            box = (sign.top, sign.left, sign.bottom + 1, sign.right + 1)
            label = labels.get(sign.kind, none_class)
            mirrorable, outline = sign.kind in MIRRORABLE, outline_of(sign.kind)
            cuts.append(cut_out(pixels, box, label, outline=outline, mirrorable=mirrorable, kind=sign.kind))
            y0, x0, y1, x1 = sign.box(height, width)
            places.append(((y0 + y1) / 2, (x0 + x1) / 2, max(sign.bottom - sign.top, sign.right - sign.left) + 1))
    return PasteBank(cuts, np.array(places), none_class)


def outline_of(kind: int) -> str:
    """The shape of a sign: round, square on its corner, or a triangle."""
    if kind in _ROUND:
        return "ellipse"
    if kind == SIGNS.index("priority road"):
        return "diamond"
    return "triangle_down" if kind == SIGNS.index("give way") else "triangle"


def photograph(root: Path, stem: str) -> Path:
    """The file of a photograph; of several forms the one that the reader takes.

    Args:
      root: Folder of the photographs.
      stem: Such as ``"00012"``.

    Raises:
      DataError: There is none.
    """
    paths = [path for suffix in SUFFIXES if (path := root / f"{stem}{suffix}").exists()]
    if not paths:
        raise DataError("A photograph is not there", expected=f"{stem} with one of {SUFFIXES}", received=root)
    return paths[0]
