"""MIT-Adobe FiveK: six classes of photographs, from the public annotation or from the archive's own lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tfvs.errors import DataError

# `unknown` is the paper's class "None".
CLASS_NAMES = ("abstract", "animals", "man_made", "nature", "people", "unknown")
ANNOTATION_FILES = {"train": "training.json", "eval": "validation.json", "test": "testing.json"}
# Sides of the paper's photographs, pixels.
PAPER_SIDE_PX = 2528
# Columns of categories.txt: name, location, time, light, subject.
_CATEGORY_COLUMNS = 5


@dataclass(frozen=True)
class Photograph:
    """One photograph of the annotation.

    Attributes:
      name: Base name of its files, such as ``a0001-jmac_DSC1459``.
      label: Index in :data:`CLASS_NAMES`; None where the subject is none of them.
      subject: As the annotation has it.
    """

    name: str
    label: int | None
    subject: str


def parse_annotation(text: str, source: str) -> Iterator[Photograph]:
    """Reads one of the public annotation's JSON files.

    Args:
      text: A JSON object: base name → ``{"categories": {"subject": …}, …}``.
      source: Named in errors.

    Yields:
      The photographs, in the file's order.

    Raises:
      DataError: The text is something else.
    """
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{source} is no JSON", received=error) from error
    if not isinstance(entries, dict):
        raise DataError(f"{source} is no annotation", expected="an object by base name", received=type(entries))
    for name, entry in entries.items():
        categories = entry.get("categories") if isinstance(entry, dict) else None
        yield _photograph(name, str((categories or {}).get("subject", "missing")))


def parse_categories(text: str) -> Iterator[Photograph]:
    """Reads the archive's ``categories.txt``: lines of ``name,location,time,light,subject``."""
    for line in text.splitlines():
        if line.strip():
            columns = [column.strip() for column in line.split(",")]
            subject = columns[-1] if len(columns) == _CATEGORY_COLUMNS else "missing"
            yield _photograph(columns[0], subject)


def _photograph(name: str, subject: str) -> Photograph:
    return Photograph(name, CLASS_NAMES.index(subject) if subject in CLASS_NAMES else None, subject)
