"""What is known of one image, before it becomes a ``tf.train.Example``. Needs no TensorFlow, as decoders need none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MANIFEST = "manifest.json"  # beside the folders of the splits


@dataclass(frozen=True)
class TileIndex:
    """Where every tile of a pyramid lies, and what decoding one takes.

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
      file_crc32: Of the whole file, if it is not framed and small enough to be read whole; 0 where not known. It tells
        a file replaced by one of the same size.
    """

    width: int
    height: int
    bands: int
    file_bytes: int
    levels: Sequence[tuple[int, int, int, int, int]]
    tile_offsets: Sequence[int]
    tile_bytes: Sequence[int]
    framed: bool
    compression: str
    jpeg_tables: bytes
    dtype: str
    file_crc32: int = 0


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
    """

    image_id: str
    label: int
    sha256: str
    proxy: bytes
    pyramid_uri: str
    index: TileIndex
