"""What the steps exchange: an image to convert, one that was refused, or a file that is passed over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Source:
    """An image to convert.

    Attributes:
      image_id: Stable and unique; also the split key.
      uri: Path or URI of the image file.
      label: Class index; -1 where unknown.
      split: Its split where one is given, else it follows from the id.
      proxy_uri: Another image that serves as the proxy, for example of another modality.
    """

    image_id: str
    uri: str
    label: int
    split: str | None = None
    proxy_uri: str | None = None


@dataclass(frozen=True)
class Rejected:
    """An image that was refused.

    Attributes:
      uri: URI of the image file, or of the place that names it; what is no UTF-8 in it is escaped.
      stage: ``"list"``, ``"duplicate"``, ``"conflict"``, ``"read"``, ``"pyramid"``, ``"proxy"`` or ``"crash"``.
      reason: One sentence or two.
      sha256: SHA-256 digest of the file, empty where it was not read.
      image_id: Empty where it is not known.
    """

    uri: str
    stage: str
    reason: str
    sha256: str = ""
    image_id: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A line of the dead-letter file."""
        return asdict(self)


@dataclass(frozen=True)
class PassedOver:
    """A file that the reader takes for no image of the data set: counted and named in the summary, and not refused.

    Attributes:
      uri: URI of the file.
      reason: Why, in words that files of one kind share.
    """

    uri: str
    reason: str


def printable(text: str) -> str:
    r"""Text as UTF-8 can hold it: bytes of a file name that are none become escapes.

    >>> printable("caf\udce9")
    'caf\\udce9'
    """
    return text.encode("utf-8", "backslashreplace").decode()
