"""MIT-Adobe FiveK: the original archive, expert TIFFs, or any folder of its photographs with the public annotation."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tfvs.datasets.adobe5k import ANNOTATION_FILES, CLASS_NAMES, Photograph, parse_annotation, parse_categories
from tfvs.errors import DataError
from tfvs.preparation import files
from tfvs.preparation.sources import Rejected, Source

ARCHIVE = "fivek_dataset"
CATEGORIES = "categories.txt"
LISTS = ("filesAdobe.txt", "filesAdobeMIT.txt")
# The same photograph may be there in several forms: the first of these that is found counts.
SUFFIXES = (".tif", ".tiff", ".jpg", ".jpeg", ".png", ".dng")
# Where photographs are looked for: the archive's raw_photos/HQa1to700/photos, and up to two folders deep.
_PATTERNS = ("*", "*/*", "*/*/*", "*/*/*/*")
_EXPERTS = ("a", "b", "c", "d", "e")


class FiveKReader:
    """FiveK's photographs with their subject as the class.

    Two layouts, in the input folder or in ``fivek_dataset`` below it:

    - the public annotation, ``training.json``, ``validation.json`` and ``testing.json`` (3 500, 500 and 1 000 images),
      whose splits are kept;
    - the archive: ``categories.txt`` with ``filesAdobe.txt`` and ``filesAdobeMIT.txt``; splits follow from the id.

    Photographs lie anywhere up to three folders below: ``<name>.dng`` as in the archive, ``<name>.tif`` of an expert,
    or ``<name>_C.jpg`` where the last letter names the expert. Among several forms the first of ``.tif``,
    ``.jpg``, ``.png``, ``.dng`` counts. A part of the data set is enough: photographs not there are passed over;
    those that the lists do not know are not images of this data set and are passed over too.

    Args:
      path: The input folder.
    """

    def __init__(self, path: str) -> None:
        self._path = path.rstrip("/")

    def read(self) -> Iterator[Source | Rejected]:
        """Lists the photographs that are there, in the annotation's order."""
        root, annotations = self._find()
        images = _find_images(root)
        found = False
        for split, uri in annotations:
            for photograph in self._parse(uri, root):
                image = images.get(photograph.name)
                if image is None:
                    continue
                found = True
                if photograph.label is None:
                    reason = f"The subject {photograph.subject!r} is none of {', '.join(CLASS_NAMES)}"
                    yield Rejected(image, "list", reason, image_id=photograph.name)
                else:
                    yield Source(photograph.name, image, photograph.label, split)
        if not found:
            raise DataError(
                "None of FiveK's photographs are found",
                expected=f"<name>.dng, .tif or .jpg below {root}",
                received=root,
            )

    def class_names(self) -> tuple[str, ...]:
        """The six subjects."""
        return CLASS_NAMES

    def inputs(self) -> list[str]:
        """The annotation or the archive's lists."""
        root, annotations = self._find()
        lists = [files.join(root, name) for name in LISTS]
        return [uri for _, uri in annotations] + [uri for uri in lists if files.exists(uri)]

    def _find(self) -> tuple[str, list[tuple[str | None, str]]]:
        """The data set's folder, and its annotation files with their splits."""
        for root in (self._path, files.join(self._path, ARCHIVE)):
            named = [(split, files.join(root, name)) for split, name in ANNOTATION_FILES.items()]
            present: list[tuple[str | None, str]] = [(split, uri) for split, uri in named if files.exists(uri)]
            if present:
                return root, present
            categories = files.join(root, CATEGORIES)
            if files.exists(categories):
                return root, [(None, categories)]
        raise DataError(
            "There is no FiveK data set",
            expected=f"{', '.join(ANNOTATION_FILES.values())}, or the archive's {CATEGORIES}",
            received=self._path,
        )

    def _parse(self, uri: str, root: str) -> Iterator[Photograph]:
        text = files.read(uri).decode("utf-8", errors="replace")
        if not uri.endswith(CATEGORIES):
            yield from parse_annotation(text, uri)
            return
        licensed = _read_lists(root)
        for photograph in parse_categories(text):
            if not licensed or photograph.name in licensed:
                yield photograph


def _read_lists(root: str) -> set[str]:
    """Names that one of the two licences covers; empty where the lists are not there."""
    names: set[str] = set()
    for name in LISTS:
        uri = files.join(root, name)
        if files.exists(uri):
            names.update(line.strip() for line in files.read(uri).decode("utf-8", errors="replace").splitlines())
    return names - {""}


def _find_images(root: str) -> dict[str, str]:
    """Base name → the image that counts."""
    found: dict[str, tuple[int, str]] = {}
    for pattern in _PATTERNS:
        for uri in files.match(root, pattern):
            stem, suffix = os.path.splitext(os.path.basename(uri))
            if stem.startswith(".") or suffix.lower() not in SUFFIXES:
                continue
            rank = SUFFIXES.index(suffix.lower())
            name, _, expert = stem.rpartition("_")
            for key in {stem, name if expert.lower() in _EXPERTS else stem}:
                if key not in found or (rank, uri) < found[key]:
                    found[key] = (rank, uri)
    return {name: uri for name, (_, uri) in found.items()}
