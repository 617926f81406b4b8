"""A folder per class: ``input/<class>/<image>``, or ``input/<split>/<class>/<image>``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tfvs.errors import DataError
from tfvs.preparation import files
from tfvs.preparation.readers.side_files import is_side_file, parts_of_slides
from tfvs.preparation.sources import PassedOver, Rejected, Source, printable
from tfvs.preparation.splits import describe_splits, split_named

HIDDEN, SIDE_FILE = "hidden", "a known side file, no image"
SLIDE_PART = "a part of a slide that another file names"
TOO_SHALLOW, TOO_DEEP = "no class's folder around it", "deeper than a class's folder"
NO_SPLIT = f"its top folder is no split beside the others: {describe_splits()}"


class _Found(NamedTuple):
    parts: tuple[str, ...]
    uri: str


class ImageFolderReader:
    """Images in sub-folders named after their class.

    Classes are the sub-folders' names in sorted order, or as given. Where top folders named after splits (``train``;
    ``eval``, ``val`` or ``validation``; ``test``; in any case) hold folders of images, and no more images lie in
    other top folders, classes lie below the splits. The image's id is its path below the input.

    Every file in its place counts as an image, but for hidden files and known side files. Files in other places are
    passed over. All that is passed over is listed as such, so that the job's summary can name it.

    Args:
      path: The input.
      class_names: Classes in the order of their indices; None: those found.
    """

    def __init__(self, path: str, class_names: tuple[str, ...] | None = None) -> None:
        self._path = path.rstrip("/") or "/"
        self._class_names = class_names

    def read(self) -> Iterator[Source | Rejected | PassedOver]:
        """Lists the images, sorted by path, and before them what is passed over."""
        images, passed = self._images()
        yield from passed
        labels = {name: label for label, name in enumerate(self._names(images))}
        for parts, uri in images:
            yield _to_source(parts, uri, labels)

    def class_names(self) -> tuple[str, ...]:
        """The names given, else those of the classes' folders, sorted."""
        return self._names(self._images()[0]) if self._class_names is None else self._class_names

    def inputs(self) -> list[str]:
        """No files: the list depends on the images' paths alone."""
        return []

    def _names(self, images: list[_Found]) -> tuple[str, ...]:
        return self._class_names or tuple(sorted({printable(found.parts[-2]) for found in images}))

    def _images(self) -> tuple[list[_Found], list[PassedOver]]:
        """Files in the places of images, sorted by path, and what is passed over."""
        candidates, passed = self._candidates()
        depth = 3 if _has_splits(candidates) else 2
        images: list[_Found] = []
        for found in candidates:
            if len(found.parts) != depth:
                passed.append(PassedOver(printable(found.uri), TOO_SHALLOW if len(found.parts) < depth else TOO_DEEP))
            elif depth == 3 and split_named(found.parts[0]) is None:
                passed.append(PassedOver(printable(found.uri), NO_SPLIT))
            else:
                images.append(found)
        if not images:
            raise DataError(
                "No images are found",
                expected=f"{self._path}/<class>/<image> or {self._path}/<split>/<class>/<image>",
                received=f"{len(candidates)} files in other places" if candidates else "no files",
                mend="Check the path, or use another reader",
            )
        return images, passed

    def _candidates(self) -> tuple[list[_Found], list[PassedOver]]:
        """Files that may be images, sorted by path, and files that may not."""
        found = sorted(_Found(*entry) for entry in files.below(self._path))
        slides = parts_of_slides([entry.uri for entry in found])
        candidates, passed = [], []
        for entry in found:
            if any(part.startswith(".") for part in entry.parts):
                passed.append(PassedOver(printable(entry.uri), HIDDEN))
            elif is_side_file(entry.parts[-1]):
                passed.append(PassedOver(printable(entry.uri), SIDE_FILE))
            elif entry.uri in slides:
                passed.append(PassedOver(printable(entry.uri), SLIDE_PART))
            else:
                candidates.append(entry)
        return candidates, passed


def _has_splits(candidates: list[_Found]) -> bool:
    """Whether classes lie below splits: more images there than in the top folders that are no split."""
    below = sum(len(found.parts) == 3 and split_named(found.parts[0]) is not None for found in candidates)
    beside = sum(len(found.parts) == 2 and split_named(found.parts[0]) is None for found in candidates)
    return below > beside


def _to_source(parts: tuple[str, ...], uri: str, labels: dict[str, int]) -> Source | Rejected:
    image_id, folder = "/".join(parts), parts[-2]
    if printable(image_id) != image_id:
        reason = "The file's name is no UTF-8, which records hold"
        return Rejected(printable(uri), "list", reason, image_id=printable(image_id))
    if folder not in labels:
        reason = f"{folder!r} is no class; classes are {', '.join(labels)}"
        return Rejected(uri, "list", reason, image_id=image_id)
    return Source(image_id, uri, labels[folder], split_named(parts[0]) if len(parts) == 3 else None)
