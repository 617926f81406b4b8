"""Images that are byte for byte the same: an error of the data under different labels, else named in the summary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tfvs.data.records import ImageRecord
from tfvs.preparation.records import Entry, split_of
from tfvs.preparation.sources import Rejected


@dataclass(frozen=True)
class Converted:
    """An image that was converted.

    Attributes:
      split: Its split where one is given, else it follows from the id.
      uri: URI of the image file.
      entry: What goes into a shard.
      content: See :func:`content_of`.
      notes: What was left out of the file, for the summary.
    """

    split: str | None
    uri: str
    entry: Entry
    content: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identical:
    """Images of one content and one label.

    Attributes:
      image_ids: Ids of the images, sorted.
      splits: Splits that the images lie in, sorted.
    """

    image_ids: list[str]
    splits: list[str]


def content_of(record: ImageRecord) -> str:
    """Digest of an image and its proxy: the same where a model sees the same."""
    return hashlib.sha256(record.sha256.encode() + record.proxy).hexdigest()


def compare(images: Iterable[Converted], weights: dict[str, int]) -> Iterator[Converted | Rejected | Identical]:
    """Lets images of one content pass where their labels agree, and refuses them all where they do not.

    Args:
      images: Images of one content. A label of -1, unknown, agrees with every other.
      weights: Weights of the splits, for images whose split is not given.
    """
    found = sorted(images, key=lambda image: image.entry.image_id)
    if len(found) == 1:
        yield found[0]
        return
    labels = {image.entry.label: image for image in found if image.entry.label >= 0}
    if len(labels) > 1:
        for image in found:
            other = next(other for label, other in labels.items() if label != image.entry.label)
            reason = f"The same bytes have label {other.entry.label} as {other.uri}, and label {image.entry.label} here"
            yield Rejected(image.uri, "conflict", reason, image_id=image.entry.image_id)
        return
    yield from found
    splits = sorted({image.split or split_of(image.entry.image_id, weights) for image in found})
    yield Identical([image.entry.image_id for image in found], splits)
