"""What is known of one image, before it becomes a ``tf.train.Example``. Needs no TensorFlow, as decoders need none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Integers of ``TileIndex.levels`` per level: width, height, tile width, tile height, index of its first tile.
LEVEL_FIELDS = 5

INTEGER, FLAG, INTEGERS, LEVELS, BYTES, TEXT = "integer", "flag", "integers", "levels", "bytes", "text"


def _stored(feature: str, kind: str, **options: Any) -> Any:
    """A field of the tile index that records hold as ``feature``."""
    return dataclasses.field(metadata={"feature": feature, "kind": kind}, **options)


@dataclass(frozen=True)
class TileIndex:
    """Where every tile of a pyramid lies, and what decoding one takes.

    The fields below are the only list of them: the features of an Example, its parser, the inputs of
    ``predict_pyramids`` and what a client sends follow from it (:data:`INDEX_FIELDS`). A field with a default may be
    absent from records written before it was added.

    Attributes:
      width: Level 0, pixels.
      height: Level 0, pixels.
      bands: Channels, 1 to 4.
      file_bytes: Size of the pyramid file, bytes.
      levels: Per level ``(width, height, tile width, tile height, index of its first tile)``, finest first.
      tile_offsets: Per tile, where its record begins, bytes: the TFRecord header if framed, else the tile itself.
      tile_bytes: Per tile, the length of the tile itself, bytes; 0 for a tile that a sparse file leaves out.
      framed: Whether each tile is a TFRecord.
      compression: ``"jpeg"``, ``"deflate"``, ``"deflate_predictor"`` (horizontal differencing) or ``"none"``.
      jpeg_tables: Shared JPEG tables (TIFF tag 347), empty where there are none.
      dtype: ``"uint8"``, ``"uint16"`` or, for big-endian files, ``"uint16_be"``.
      file_crc32: CRC-32 of the whole file, if it is not framed and small enough to be read whole; 0 where not known. It
        tells a file replaced by one of the same size.
    """

    width: int = _stored("image/width", INTEGER)
    height: int = _stored("image/height", INTEGER)
    bands: int = _stored("image/bands", INTEGER)
    file_bytes: int = _stored("pyramid/file_bytes", INTEGER)
    levels: Sequence[tuple[int, int, int, int, int]] = _stored("pyramid/levels", LEVELS)
    tile_offsets: Sequence[int] = _stored("pyramid/tile_offsets", INTEGERS)
    tile_bytes: Sequence[int] = _stored("pyramid/tile_bytes", INTEGERS)
    framed: bool = _stored("pyramid/framed", FLAG)
    compression: str = _stored("pyramid/compression", TEXT)
    jpeg_tables: bytes = _stored("pyramid/jpeg_tables", BYTES)
    dtype: str = _stored("pyramid/dtype", TEXT)
    file_crc32: int = _stored("pyramid/file_crc32", INTEGER, default=0)


class IndexField(NamedTuple):
    """One field of the tile index, in records and in requests.

    Attributes:
      name: Name of the attribute of :class:`TileIndex` and of the input of ``predict_pyramids``.
      feature: Name of the feature in the Example.
      kind: What its values are.
      optional: Whether a record may lack it.
    """

    name: str
    feature: str
    kind: str
    optional: bool

    @property
    def is_list(self) -> bool:
        """Whether an image has a list of values, of which each image has another number."""
        return self.kind in (INTEGERS, LEVELS)

    @property
    def is_string(self) -> bool:
        """Whether the values are bytes rather than whole numbers."""
        return self.kind in (BYTES, TEXT)

    def to_values(self, index: TileIndex) -> list[int] | list[bytes]:
        """The field of an index as an Example holds it."""
        value = getattr(index, self.name)
        if self.kind == LEVELS:
            return [number for level in value for number in level]
        if self.kind == INTEGERS:
            return [int(number) for number in value]
        if self.is_string:
            return [value.encode() if self.kind == TEXT else value]
        return [int(value)]

    def from_values(self, values: Sequence[Any]) -> Any:
        """The inverse of :meth:`to_values`."""
        if self.kind == LEVELS:
            return [tuple(values[i : i + LEVEL_FIELDS]) for i in range(0, len(values), LEVEL_FIELDS)]
        if self.kind == INTEGERS:
            return list(values)
        if self.is_string:
            return values[0].decode() if self.kind == TEXT else values[0]
        return bool(values[0]) if self.kind == FLAG else int(values[0])


INDEX_FIELDS = tuple(
    IndexField(field.name, field.metadata["feature"], field.metadata["kind"], field.default is not dataclasses.MISSING)
    for field in dataclasses.fields(TileIndex)
)


@dataclass(frozen=True)
class ImageRecord:
    """One image, ready to be written.

    Attributes:
      image_id: Stable and unique; also the split key.
      label: Class index; -1 where unknown.
      sha256: Hex digest of the source file.
      proxy: The proxy image, PNG.
      pyramid_uri: Path of the pyramid, relative to the pyramids' root.
      index: The pyramid's tile index.
      micrometres_per_px: Micrometres per pixel of a microscope's image, at the pyramid's finest level; None where the
        file does not tell.
      notes: What was left out of the source file, for a summary; not part of the record.
    """

    image_id: str
    label: int
    sha256: str
    proxy: bytes
    pyramid_uri: str
    index: TileIndex
    micrometres_per_px: float | None = None
    notes: tuple[str, ...] = ()
