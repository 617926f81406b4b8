"""German Traffic Sign Detection Benchmark: the original archive, as PPM or converted to JPEG or PNG."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tfvs.datasets.gtsdb import (
    FOLDERS,
    GROUND_TRUTH,
    SPEED_LIMITS,
    SUFFIXES,
    Sign,
    label_of,
    label_of_kind,
    parse_ground_truth,
)
from tfvs.errors import DataError
from tfvs.preparation import files
from tfvs.preparation.sources import PassedOver, Rejected, Source, printable

OTHER_FORM = "another form of the same photograph counts"
# Numbers of the first photograph behind each split.
TRAIN_END, TRAINVAL_END = 480, 600
# Where there are no test photographs: of the 60 last ones only three show a limit, too few to judge a model by.
TRAIN_END_WITHOUT_TEST = 420


class GTSDBReader:
    """GTSDB's photographs with the speed limit that they show, or other groups of signs, as the class.

    ``gt.txt`` lies beside the photographs ``00000.ppm`` …, in the input folder or in ``FullIJCNN2013`` or
    ``TrainIJCNN2013`` below it. Boxes give the class of a photograph and are used for nothing else. Splits follow the
    benchmark's: photographs 0 to 479 are for training, 480 to 599 for validation, 600 to 899 for the test. Where none
    of the last are there, 480 to 599 are the test, and 420 to 479 the validation.

    Args:
      path: The input folder.
      class_names: Groups of signs, see :func:`tfvs.datasets.gtsdb.label_of_kind`; None: the speed limits.
    """

    def __init__(self, path: str, class_names: tuple[str, ...] | None = None) -> None:
        self._path = path.rstrip("/")
        self._class_names = class_names or SPEED_LIMITS
        label_of_kind(self._class_names)

    def read(self) -> Iterator[Source | Rejected | PassedOver]:
        """Lists the photographs that are there, by number, and before them what is refused or passed over."""
        root, ground_truth = self._find()
        signs, damaged = self._parse(ground_truth)
        for number, stem, reason in damaged:
            yield Rejected(ground_truth, "list", f"Line {number}: {reason}", image_id=stem or "")
        images, others = _find_images(root)
        yield from (PassedOver(printable(uri), OTHER_FORM) for uri in others)
        if not images:
            raise DataError(
                "None of GTSDB's photographs are found", expected=f"{root}/00000.ppm or .jpg", received=root
            )
        unreadable = {stem for _, stem, _ in damaged}
        last = max(map(int, images))
        for stem, uri in sorted(images.items()):
            if stem not in unreadable:  # Its class is not known.
                label = label_of(signs.get(stem, []), self._class_names)
                yield Source(stem, uri, label, _split(int(stem), has_test=last >= TRAINVAL_END))

    def class_names(self) -> tuple[str, ...]:
        """The names given, else the speed limits."""
        return tuple(self._class_names)

    def inputs(self) -> list[str]:
        """The ground truth."""
        return [self._find()[1]]

    def _find(self) -> tuple[str, str]:
        """The folder of the photographs, and the ground truth."""
        for folder in FOLDERS:
            root = files.join(self._path, folder) if folder else self._path
            uri = files.join(root, GROUND_TRUTH)
            if files.exists(uri):
                return root, uri
        raise DataError(
            "There is no GTSDB data set", expected=f"{GROUND_TRUTH} beside photographs", received=self._path
        )

    def _parse(self, uri: str) -> tuple[dict[str, list[Sign]], list[tuple[int, str | None, str]]]:
        """Signs by photograph; and number, photograph and reason of lines that cannot be read."""
        text = files.read(uri).decode("utf-8", errors="replace")
        signs: dict[str, list[Sign]] = {}
        damaged = []
        for line in parse_ground_truth(text):
            if line.sign is not None and line.stem is not None:
                signs.setdefault(line.stem, []).append(line.sign)
            else:
                damaged.append((line.number, line.stem, line.reason))
        return signs, damaged


def _split(number: int, *, has_test: bool) -> str:
    eval_start, test_start = (TRAIN_END, TRAINVAL_END) if has_test else (TRAIN_END_WITHOUT_TEST, TRAIN_END)
    if number < eval_start:
        return "train"
    return "eval" if number < test_start else "test"


def _find_images(root: str) -> tuple[dict[str, str], list[str]]:
    """Number, as the file's name has it, → the image that counts; and the other forms of the same photographs."""
    forms: dict[str, list[tuple[int, str]]] = {}
    for uri in files.match(root, "*"):
        stem, suffix = os.path.splitext(os.path.basename(uri))
        if len(stem) == 5 and stem.isascii() and stem.isdecimal() and suffix.lower() in SUFFIXES:
            forms.setdefault(stem, []).append((SUFFIXES.index(suffix.lower()), uri))
    ranked = {stem: [uri for _, uri in sorted(of_one)] for stem, of_one in forms.items()}
    return {stem: uris[0] for stem, uris in ranked.items()}, [uri for uris in ranked.values() for uri in uris[1:]]
