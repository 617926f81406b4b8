"""German Traffic Sign Detection Benchmark (GTSDB): street photographs, their signs, and labels by groups of signs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tfvs.config import require
from tfvs.errors import DataError

GROUND_TRUTH = "gt.txt"
FOLDERS = ("", "FullIJCNN2013", "TrainIJCNN2013", "TestIJCNN2013")
# The same photograph may be there in several forms: the first of these that is found counts.
SUFFIXES = (".ppm", ".png", ".jpg", ".jpeg")
HEIGHT_PX, WIDTH_PX = 800, 1360
NONE = "none"
# Classes of photographs: the speed limit, if there is one.
SPEED_LIMITS = (NONE, "20+30", "50", "60+70", "80", "100+120")
# The 43 signs, by their ids; speed limits by their number.
SIGNS = (
    *("20", "30", "50", "60", "70", "80", "restriction ends 80", "100", "120"),
    *("no overtaking", "no overtaking (trucks)", "priority at next intersection", "priority road", "give way", "stop"),
    *("no traffic both ways", "no trucks", "no entry", "danger", "bend left", "bend right", "bend", "uneven road"),
    *("slippery road", "road narrows", "construction", "traffic signal", "pedestrian crossing", "school crossing"),
    *("cycles crossing", "snow", "animals", "restriction ends", "go right", "go left", "go straight"),
    *("go right or straight", "go left or straight", "keep right", "keep left", "roundabout"),
    *("restriction ends (overtaking)", "restriction ends (overtaking (trucks))"),
)
# The benchmark's own categories of them.
CATEGORIES = {
    "prohibitory": (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16),
    "danger signs": (11, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31),
    "mandatory": (33, 34, 35, 36, 37, 38, 39, 40),
    "other": (6, 12, 13, 14, 17, 32, 41, 42),
}
# Signs whose mirror image is another sign or none: whatever has a number, a text or a direction.
_SYMMETRIC = (
    "priority road",
    "give way",
    "no traffic both ways",
    "no entry",
    "danger",
    "traffic signal",
    "go straight",
)
MIRRORABLE = frozenset(SIGNS.index(name) for name in _SYMMETRIC)


@dataclass(frozen=True)
class Sign:
    """A sign in a photograph.

    Attributes:
      top: Its first row, pixels.
      left: Its first column, pixels.
      bottom: Its last row, pixels.
      right: Its last column, pixels.
      kind: Index into :data:`SIGNS`.
    """

    top: int
    left: int
    bottom: int
    right: int
    kind: int

    def box(self, height: int = HEIGHT_PX, width: int = WIDTH_PX) -> tuple[float, float, float, float]:
        """``[y0, x0, y1, x1]`` in [0, 1]; a box ends behind its last pixel.

        Args:
          height: Height of the photograph, pixels.
          width: Width of the photograph, pixels.
        """
        return self.top / height, self.left / width, (self.bottom + 1) / height, (self.right + 1) / width


@dataclass(frozen=True)
class Line:
    """A line of the ground truth.

    Attributes:
      number: From 1.
      stem: Stem of the photograph's file, such as ``00001``; None where the line does not name one.
      sign: None where the line cannot be read.
      reason: Why not.
    """

    number: int
    stem: str | None
    sign: Sign | None
    reason: str = ""


def parse_ground_truth(text: str) -> Iterator[Line]:
    """Reads ``gt.txt``: lines of ``00000.ppm;left;top;right;bottom;class``.

    Args:
      text: Text of the file.

    Yields:
      One line each, in order; blank ones are passed over.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, *fields = (field.strip() for field in line.split(";"))
        stem = name.rpartition(".")[0] or None
        try:
            left, top, right, bottom, kind = map(int, fields)
        except ValueError:
            yield Line(number, stem, None, f"five whole numbers were expected after the name, received {line[:80]!r}")
            continue
        if stem is None or not (0 <= left <= right and 0 <= top <= bottom and 0 <= kind < len(SIGNS)):
            reason = f"an image's name, a box and a class from 0 to {len(SIGNS) - 1} were expected"
            yield Line(number, stem, None, f"{reason}, received {line[:80]!r}")
            continue
        yield Line(number, stem, Sign(top, left, bottom, right, kind))


def read_signs(text: str) -> dict[str, list[Sign]]:
    """All signs of a ground truth, by the stem of the photograph's file.

    Args:
      text: Text of ``gt.txt``.

    Raises:
      DataError: A line cannot be read.
    """
    found: dict[str, list[Sign]] = {}
    for line in parse_ground_truth(text):
        if line.sign is None or line.stem is None:
            raise DataError(f"Line {line.number} of {GROUND_TRUTH} cannot be read", received=line.reason)
        found.setdefault(line.stem, []).append(line.sign)
    return found


def label_of_kind(class_names: Sequence[str]) -> dict[int, int]:
    """Which signs belong to which class.

    Args:
      class_names: Each is one of :data:`SIGNS` or :data:`CATEGORIES`, several of them joined by ``+`` (such as
        ``"20+30"``), or ``"none"`` for photographs without any of the others' signs.

    Returns:
      Sign → class index; signs of no class are left out.

    Raises:
      ConfigError: An unknown name, a sign in two classes, or not exactly one class ``"none"``.
    """
    names = list(class_names)
    require(names.count(NONE) == 1, "Photographs without signs need one class", expected=repr(NONE), received=names)
    found: dict[int, int] = {}
    for label, name in enumerate(names):
        for part in [] if name == NONE else name.split("+"):
            kinds = CATEGORIES.get(part) or ((SIGNS.index(part),) if part in SIGNS else ())
            require(bool(kinds), "There is no such sign", expected=[*SIGNS, *CATEGORIES], received=part)
            for kind in kinds:
                require(kind not in found, "A sign is in two classes", expected="one", received=f"{part!r} in {names}")
                found[kind] = label
    return found


def label_of(signs: Iterable[Sign], class_names: Sequence[str]) -> int:
    """The class of a photograph: the last in the list whose signs it shows, or ``"none"``.

    Args:
      signs: The signs in the photograph.
      class_names: See :func:`label_of_kind`.
    """
    labels = label_of_kind(class_names)
    shown = [labels[sign.kind] for sign in signs if sign.kind in labels]
    return max(shown) if shown else list(class_names).index(NONE)
