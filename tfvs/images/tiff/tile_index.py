"""Reading a pyramid TIFF's own directories into a tile index."""

from __future__ import annotations

import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile

from tfvs.data.records import TileIndex
from tfvs.errors import ImageError
from tfvs.images.tiff.choice import MAX_DIRECTORIES, check_jpeg_tiles, images, main_page
from tfvs.images.tiff.frames import FOOTER_BYTES, HEADER_BYTES, frame_header
from tfvs.images.tiff.jpeg_markers import ADOBE_RGB, ADOBE_YCBCR

MAX_TILE_SIDE = 1024
MAX_TILES = 16_000_000
# Without frames TensorFlow cannot seek: the whole file is read, up to this size.
MAX_FOREIGN_BYTES = 8 << 20
COMPRESSIONS = {1: "none", 7: "jpeg", 8: "deflate", 32946: "deflate"}


def read_index(path: str | os.PathLike[str]) -> TileIndex:
    """Reads where every tile of a pyramid lies, and verifies it against the file.

    Levels are page 0, its SubIFDs and the later pages that are tiled like it and have its shape at a smaller size;
    masks, thumbnails, labels and macro images are left out. The pyramid counts as framed if every tile is preceded by
    a right TFRecord header.

    Args:
      path: A TIFF or BigTIFF of either byte order.

    Raises:
      ImageError: Not a TIFF, not tiled, an encoding that tiles are not read in (with the reason), tiles that lie
        beyond the end of the file, or levels that disagree.
    """
    name = os.fspath(path)
    try:
        with tifffile.TiffFile(name) as tiff:
            file_bytes = os.path.getsize(name)
            _check_chain(tiff, file_bytes, name)
            return _index(tiff, file_bytes, name)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError("There is no such pyramid", received=name, mend="Check the path") from error
    except Exception as error:  # whatever a damaged directory makes the parser raise
        raise ImageError("The pyramid's directories cannot be read", received=f"{name}: {error}"[:400]) from error


def _check_chain(tiff: tifffile.TiffFile, file_bytes: int, name: str) -> None:
    """Follows the directories to the last: where one lies beyond the end, tifffile would only leave levels out."""
    file, layout, first = tiff.filehandle, tiff.tiff, _page(tiff.pages[0])
    children, offset = list(first.subifds or ()), first.offset
    for _ in range(MAX_DIRECTORIES):
        file.seek(offset)
        count = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))[0]
        file.seek(offset + layout.tagnosize + count * layout.tagsize)
        offset = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))[0]
        if max([offset, *children]) >= file_bytes:
            raise ImageError(
                "A directory lies beyond the end of the file",
                expected=f"within {file_bytes} bytes",
                received=f"{max([offset, *children])} in {name}",
                mend="The file is truncated or damaged; copy or write it again",
            )
        if not offset:
            return


def level_pages(tiff: tifffile.TiffFile, name: str) -> list[tifffile.TiffPage]:
    """The directories that are levels of the main image, finest first.

    Raises:
      ImageError: The image is not tiled, or its tiles are not what the TIFF's tags say they are.
    """
    if tiff.is_ndpi or tiff.is_bif:
        raise ImageError(
            "The tiles of this slide are no tiles of a TIFF",
            expected="a tiled pyramid TIFF",
            received=f"{'NDPI' if tiff.is_ndpi else 'BIF'} in {name}",
            mend="Convert it with tfvs prepare and tfvs[slides]",
        )
    number, base = main_page(tiff)
    if not base.is_tiled:
        raise ImageError(
            "The image is not tiled",
            expected="a tiled pyramid TIFF",
            received=name,
            mend="Write a pyramid with tfvs.images.tiff.pyramid.write_pyramid",
        )
    levels = [base]
    for page in _candidates(tiff, number):
        last = levels[-1]
        fits = (
            page.is_tiled
            and not int(page.subfiletype) & 4
            and _encoding(page) == _encoding(base)
            and page.imagewidth <= last.imagewidth
            and page.imagelength <= last.imagelength
            and (page.imagewidth, page.imagelength) != (last.imagewidth, last.imagelength)
        )
        if not fits:
            continue
        if _same_shape(base, page):
            levels.append(page)
    for page in levels:
        check_jpeg_tiles(page, name)
    return levels


def _same_shape(base: tifffile.TiffPage, page: tifffile.TiffPage) -> bool:
    """Whether one factor makes the page's size of the base's, either side rounded up or down by less than a pixel."""
    sides = ((base.imagewidth, page.imagewidth), (base.imagelength, page.imagelength))
    if any(side < 1 for pair in sides for side in pair):
        return False
    least = max(whole / (side + 1) for whole, side in sides)
    most = min(whole / (side - 1) if side > 1 else math.inf for whole, side in sides)
    return least < most


def _candidates(tiff: tifffile.TiffFile, main: int) -> list[tifffile.TiffPage]:
    """All other images, the largest first."""
    found = [page for number, page in images(tiff) if number != main]
    return sorted(found, key=lambda page: -page.imagewidth * page.imagelength)


def _page(page: tifffile.TiffPage | tifffile.TiffFrame) -> tifffile.TiffPage:
    if not isinstance(page, tifffile.TiffPage):
        raise ImageError("A directory was not read whole", received=repr(page))
    return page


def _encoding(page: tifffile.TiffPage) -> tuple:
    return (
        int(page.compression),
        int(page.photometric),
        page.samplesperpixel,
        page.bitspersample,
        int(page.sampleformat),
        int(page.planarconfig),
        int(page.predictor),
    )


def _index(tiff: tifffile.TiffFile, file_bytes: int, name: str) -> TileIndex:
    pages = level_pages(tiff, name)
    base = pages[0]
    _check_plain(base, name)
    compression = _compression(base, name)
    dtype = _dtype(base, tiff.byteorder, compression, name)
    levels, offsets, counts, first = [], [], [], 0
    for page in pages:
        across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
        if page.imagewidth < 1 or page.imagelength < 1:
            raise ImageError("A level is empty", received=f"{page.imagewidth} x {page.imagelength} in {name}")
        if max(page.tilewidth, page.tilelength) > MAX_TILE_SIDE or first + across * down > MAX_TILES:
            raise ImageError(
                "The tiles are too large or too many",
                expected=f"sides of at most {MAX_TILE_SIDE}, at most {MAX_TILES} tiles",
                received=f"{page.tilewidth} x {page.tilelength}, {first + across * down} tiles in {name}",
            )
        if not len(page.dataoffsets) == len(page.databytecounts) == across * down:
            raise ImageError(
                "A level does not list all its tiles",
                expected=across * down,
                received=f"{len(page.dataoffsets)} offsets, {len(page.databytecounts)} sizes in {name}",
            )
        levels.append((page.imagewidth, page.imagelength, page.tilewidth, page.tilelength, first))
        offsets.append(np.asarray(page.dataoffsets, np.int64))
        counts.append(tile_lengths(page, name))
        first += across * down
    starts, lengths = np.concatenate(offsets), np.concatenate(counts)
    _check_inside(starts, lengths, file_bytes, base, name)
    framed = _is_framed(name, starts, lengths, file_bytes)
    return TileIndex(
        width=base.imagewidth,
        height=base.imagelength,
        bands=base.samplesperpixel,
        file_bytes=file_bytes,
        levels=levels,
        tile_offsets=(np.where(lengths > 0, starts - HEADER_BYTES * framed, 0)).tolist(),
        tile_bytes=lengths.tolist(),
        framed=framed,
        compression=compression,
        jpeg_tables=_jpeg_tables(pages, name) if compression == "jpeg" else b"",
        dtype=dtype,
        file_crc32=0 if framed or file_bytes > MAX_FOREIGN_BYTES else zlib.crc32(Path(name).read_bytes()),
    )


def _check_plain(page: tifffile.TiffPage, name: str) -> None:
    """Refuses what the graph, which reads tiles as they are stored, would show otherwise than other readers do."""
    turned = page.tags.valueof(274) not in (None, 1)
    if turned or (page.samplesperpixel >= 3 and page.tags.valueof(34675)):
        raise ImageError(
            "The image is stored turned or in a colour space of its own, which reading tiles would ignore",
            expected="orientation 1, no ICC profile",
            received=f"{'orientation ' + str(page.tags.valueof(274)) if turned else 'an ICC profile'} in {name}",
            mend="Write a pyramid with tfvs.images.tiff.pyramid.write_pyramid",
        )


def tile_lengths(page: tifffile.TiffPage, name: str) -> np.ndarray:
    """Bytes of each tile, 0 for one that a sparse file leaves out; without the padding behind uncompressed ones.

    Raises:
      ImageError: An uncompressed tile is too short, or what is left out would not be zero.
    """
    lengths = np.where(np.asarray(page.dataoffsets, np.int64) > 0, np.asarray(page.databytecounts, np.int64), 0)
    if int(page.compression) == 1:
        whole = page.tilewidth * page.tilelength * page.samplesperpixel * page.bitspersample // 8
        if ((lengths > 0) & (lengths < whole)).any():
            raise ImageError("A tile is too short", expected=f"{whole} bytes", received=f"{lengths.min()} in {name}")
        lengths = np.minimum(lengths, whole)
    if page.nodata and not lengths.all():
        raise ImageError("Tiles are left out for a value that is not zero", received=f"{page.nodata} in {name}")
    return lengths


def _compression(page: tifffile.TiffPage, name: str) -> str:
    code = int(page.compression)
    if code not in COMPRESSIONS:
        raise ImageError(
            "Tiles in this compression cannot be read in the graph",
            expected="JPEG (7), deflate (8) or none (1)",
            received=f"{page.compression!r} in {name}",
            mend="Write a pyramid with tfvs.images.tiff.pyramid.write_pyramid",
        )
    if int(page.planarconfig) != 1 and page.samplesperpixel > 1:
        raise ImageError("Bands stored in separate planes are not read", received=name, mend="Write a pyramid anew")
    if not 1 <= page.samplesperpixel <= 4:
        raise ImageError("The bands are too many", expected="1 to 4", received=f"{page.samplesperpixel} in {name}")
    if int(page.photometric) not in (1, 2, 6) or (int(page.photometric) == 6 and code != 7):
        raise ImageError("This colour interpretation is not read", received=f"{page.photometric!r} in {name}")
    if code == 7 and page.samplesperpixel not in (1, 3):
        raise ImageError("JPEG tiles have 1 or 3 bands", received=f"{page.samplesperpixel} in {name}")
    if int(page.predictor) not in (1, 2):
        raise ImageError("This predictor is not read", expected="none or horizontal", received=repr(page.predictor))
    return COMPRESSIONS[code] + ("_predictor" if code in (8, 32946) and int(page.predictor) == 2 else "")


def _dtype(page: tifffile.TiffPage, byteorder: str, compression: str, name: str) -> str:
    bits, unsigned = page.bitspersample, int(page.sampleformat) == 1
    if not unsigned or bits not in (8, 16) or (compression == "jpeg" and bits != 8) or int(page.fillorder) != 1:
        raise ImageError(
            "Samples of this kind are not read",
            expected="8 or 16 bits, unsigned",
            received=f"{bits} bits, sample format {page.sampleformat!r} in {name}",
        )
    return "uint8" if bits == 8 else "uint16" if byteorder == "<" else "uint16_be"


def _check_inside(starts: np.ndarray, lengths: np.ndarray, file_bytes: int, base: object, name: str) -> None:
    present = lengths > 0
    bad = present & ((starts < 8) | (starts > file_bytes) | (lengths > file_bytes) | (starts + lengths > file_bytes))
    bad |= lengths < 0
    if bad.any():
        tile = int(np.flatnonzero(bad)[0])
        raise ImageError(
            "A tile lies beyond the end of the file",
            expected=f"within {file_bytes} bytes",
            received=f"tile {tile} at {starts[tile]}, {lengths[tile]} bytes in {name}",
            mend="The file is truncated or damaged; copy or write it again",
        )


def _is_framed(name: str, starts: np.ndarray, lengths: np.ndarray, file_bytes: int) -> bool:
    present = np.flatnonzero(lengths > 0)
    if not len(present):
        return True  # nothing to read, hence nothing to check
    if (starts[present] < HEADER_BYTES + 8).any() or (starts + lengths + FOOTER_BYTES > file_bytes)[present].any():
        return False
    # Not mapped into memory: the page around every header would count as this process's own.
    with open(name, "rb", buffering=0) as file:
        places = zip((starts[present] - HEADER_BYTES).tolist(), lengths[present].tolist(), strict=True)
        return all(os.pread(file.fileno(), HEADER_BYTES, start) == frame_header(length) for start, length in places)


def _jpeg_tables(pages: list[tifffile.TiffPage], name: str) -> bytes:
    tables = {page.jpegtables or b"" for page in pages}
    if len(tables) > 1:
        raise ImageError(
            "Levels with different JPEG tables cannot share one index",
            received=name,
            mend="Frame it first: tfvs.images.tiff.framing.frame gives each tile its own tables",
        )
    shared = tables.pop()
    if shared and not (shared[:2] == b"\xff\xd8" and shared[-2:] == b"\xff\xd9"):
        raise ImageError("The JPEG tables are damaged", received=name)
    return complete_tables(shared, pages[0].samplesperpixel, int(pages[0].photometric))


def complete_tables(tables: bytes, bands: int, photometric: int) -> bytes:
    """JPEG tables with the marker that says how colour is stored, which the tiles leave to the TIFF's tags."""
    if bands == 1:
        return tables
    adobe = ADOBE_RGB if photometric == 2 else ADOBE_YCBCR
    return b"\xff\xd8" + adobe + (tables[2:-2] if tables else b"") + b"\xff\xd9"
