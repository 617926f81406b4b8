"""Which image and which bands of a TIFF are read, and by which library."""

from __future__ import annotations

import io
import itertools
import os
from dataclasses import dataclass

import tifffile

from tfvs.errors import ImageError
from tfvs.images.tiff.frames import HEADER_BYTES, frame_header
from tfvs.images.tiff.jpeg_markers import ADOBE_RGB, ADOBE_YCBCR, stored_colour
from tfvs.images.tiff.parsing import name_of, parsing

MAX_DIRECTORIES = 1000
# What libvips' own build decodes right; the codecs of the others come with the imagecodecs package.
_NATIVE_CODECS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
_NATIVE_BITS = {1: (1, 2, 4, 8, 16, 32), 2: (8, 16, 32), 3: (32,)}  # by sample format: unsigned, signed, float
_NATIVE_COLOUR = {0, 1, 2, 3, 5, 6, 8}
# libvips refuses strips and tags above 50 MB.
_NATIVE_STRIP_BYTES = 48 << 20
_COLOUR_BANDS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
_REDUCED, _MASK = 1, 4
_JPEG, _END_OF_IMAGE = 7, b"\xff\xd9"
_HEAD_BYTES = 1024
# Writers may pad a stream with any bytes up to this length; with zeros, by any amount.
_PADDING, _TAIL_BYTES = 16, 64
LEFT_OUT_PAGES = "further images of a file are left out (choose with page or channels)"
LEFT_OUT_BANDS = "bands that are neither colour nor alpha are left out (choose with channels)"


@dataclass(frozen=True)
class TiffChoice:
    """What to read of a TIFF.

    Attributes:
      pages: Directories of the main chain, one, or one for each band; -1 - n is SubIFD n of the first.
      native: Whether libvips reads it, else tifffile and imagecodecs.
      bands: Number of bands of what is read, before channels are chosen.
      channels: Bands to keep, from 0, in their order; None: all of them as they are.
      chosen: Whether the caller chose the channels.
      colour: Bands that are grey or colour, before channels are chosen.
      alpha: Whether the last band is alpha: ``""``, ``"straight"`` or ``"premultiplied"``.
      bits: Bits of a sample.
      nodata: The value that means no data, if the file names one.
      notes: What is left out, as sentences for the user.
    """

    pages: tuple[int, ...]
    native: bool
    bands: int
    channels: tuple[int, ...] | None
    chosen: bool
    colour: int
    alpha: str
    bits: int
    nodata: float | None
    notes: tuple[str, ...]


def choose(
    source: str | os.PathLike[str] | bytes, *, page: int | None = None, channels: tuple[int, ...] | None = None
) -> TiffChoice:
    """The largest image that is no reduced copy, mask or thumbnail; of several the first.

    Args:
      source: Path or bytes of a TIFF.
      page: Directory to read instead, numbered as in :class:`TiffChoice`.
      channels: Bands to read, from 1; where each page holds one band, pages.

    Raises:
      ImageError: The directories cannot be read, or what is asked for is not there.
    """
    name = name_of(source)
    with parsing(name), tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else name) as tiff:
        return _choose(tiff, name, page, channels)


def main_page(tiff: tifffile.TiffFile) -> tuple[int, tifffile.TiffPage]:
    """The largest image that is no reduced copy or mask, and its number as in :class:`TiffChoice`."""
    found = images(tiff)
    if not found:
        raise ImageError("The TIFF holds no image", received=tiff.filename)
    whole = [item for item in found if not int(item[1].subfiletype) & (_REDUCED | _MASK)]
    return max(whole or found, key=lambda item: (_pixels(item[1]), -abs(item[0])))


def page_at(tiff: tifffile.TiffFile, number: int) -> tifffile.TiffPage:
    """A directory by its number in a :class:`TiffChoice`."""
    if number < 0:
        return _whole((_whole(tiff.pages[0]).pages or ())[-1 - number])
    return _whole(tiff.pages[number])


def page_number(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> int:
    """The number of a directory that :func:`images` gave."""
    return next(number for number, image in images(tiff) if image.offset == page.offset)


def check_jpeg_tiles(page: tifffile.TiffPage, name: str) -> None:
    """Refuses JPEG tiles and strips that decoders would show otherwise than they were.

    Where a stream stops early they fill the rest with grey. Where a stream's own markers say that colour is stored
    otherwise than the TIFF's tag says, readers differ on which to follow, and nothing tells which is right.

    Raises:
      ImageError: A stream stops early, or its markers and the tag contradict each other.
    """
    if int(page.compression) != _JPEG or page.parent.is_ndpi:
        return
    file = page.parent.filehandle
    parts = [(int(a), int(b)) for a, b in zip(page.dataoffsets, page.databytecounts, strict=False) if b]
    if parts and _is_framed(file, *parts[0]):  # checked when it was written
        return
    told = {2: ADOBE_RGB, 6: ADOBE_YCBCR}.get(int(page.photometric)) if page.samplesperpixel == 3 else None
    _check_colour(page.jpegtables or b"", told, name)
    for start, length in parts:
        if not 0 <= start <= file.size - length:
            raise ImageError(
                "A tile lies beyond the end of the file",
                expected=f"within {file.size} bytes",
                received=f"{length} bytes at {start} in {name}",
                mend="The file is truncated or damaged; copy or write it again",
            )
        if told is not None:
            file.seek(start)
            _check_colour(file.read(min(length, _HEAD_BYTES)), told, name)
        if not _ends(file, start, length):
            raise ImageError(
                "A tile or strip is damaged: its compressed stream does not come to its end",
                received=f"{length} bytes at {start} of {name}",
            )


def _is_framed(file: tifffile.FileHandle, start: int, length: int) -> bool:
    """Whether a TFRecord's header lies before a tile."""
    if not HEADER_BYTES <= start <= file.size:
        return False
    file.seek(start - HEADER_BYTES)
    return file.read(HEADER_BYTES) == frame_header(length)


def _check_colour(head: bytes, told: bytes | None, name: str) -> None:
    stored = stored_colour(head)
    if stored is not None and told is not None and stored != told:
        raise ImageError(
            "A JPEG tile and its TIFF contradict each other on how colour is stored",
            expected="RGB" if told == ADOBE_RGB else "YCbCr",
            received=name,
            mend="Correct the photometric interpretation (tag 262), or write the file anew with one tool",
        )


def _ends(file: tifffile.FileHandle, start: int, length: int) -> bool:
    """Whether a JPEG stream has its end marker, before padding."""
    end = length
    while end > 0:
        count = min(end, _TAIL_BYTES)
        file.seek(start + end - count)
        data = file.read(count)
        if _END_OF_IMAGE in data[-_PADDING:]:
            return True
        if kept := data.rstrip(b"\0"):
            file.seek(start + end - count + len(kept) - 2)
            return file.read(2) == _END_OF_IMAGE
        end -= count
    return False


def _choose(tiff: tifffile.TiffFile, name: str, page: int | None, channels: tuple[int, ...] | None) -> TiffChoice:
    if page is None:
        number, base = main_page(tiff)
    else:
        found = dict(images(tiff))
        if page not in found:
            raise ImageError("There is no such page", expected=sorted(found), received=f"{page} of {name}")
        number, base = page, found[page]
    fields = (base.imagewidth, base.imagelength, base.samplesperpixel, base.bitspersample)
    if not all(isinstance(value, int) for value in fields):
        raise ImageError("The TIFF's size is no number", received=f"{fields} in {name}"[:400])
    check_jpeg_tiles(base, name)
    alike = [other for other, image in images(tiff) if other >= 0 and _same_kind(image, base)] if number >= 0 else []
    bands, alpha = int(base.samplesperpixel), _alpha(base)
    pages: tuple[int, ...] = (number,)
    notes = []
    if channels is not None and bands == 1 and max(channels) > 1 and page is None:
        pages, bands = tuple(alike), len(alike)
    elif page is None and _has_others(tiff, number, base, alike):
        notes.append(LEFT_OUT_PAGES)
    colour = 3 if int(base.photometric) == 3 else _COLOUR_BANDS.get(int(base.photometric), bands)
    if channels is not None:
        if max(channels) > bands:
            raise ImageError("There is no such band", expected=f"1 to {bands}", received=f"{max(channels)} in {name}")
        chosen, alpha = tuple(channel - 1 for channel in channels), ""
    else:
        chosen = tuple(range(bands))
        if not alpha and colour in (3, 4) and bands > colour:
            chosen = tuple(range(colour))
            notes.append(LEFT_OUT_BANDS)
        elif alpha and bands > colour + 1:
            chosen = (*range(colour), bands - 1)
            notes.append(LEFT_OUT_BANDS)
    return TiffChoice(
        pages=pages,
        native=len(pages) == 1 and _alpha(base) != "premultiplied" and _is_native(base),
        bands=bands,
        channels=None if chosen == tuple(range(bands)) else chosen,
        chosen=channels is not None,
        colour=colour,
        alpha=alpha,
        bits=int(base.bitspersample),
        nodata=_nodata(base),
        notes=tuple(notes),
    )


def images(tiff: tifffile.TiffFile) -> list[tuple[int, tifffile.TiffPage]]:
    """All images of a TIFF, of the main chain and SubIFDs of its first, with their numbers as in TiffChoice."""
    pages = [(number, _whole(page)) for number, page in enumerate(itertools.islice(tiff.pages, MAX_DIRECTORIES))]
    if pages and pages[0][1].subifds:
        children = itertools.islice(pages[0][1].pages or (), MAX_DIRECTORIES)
        pages += [(-1 - number, _whole(page)) for number, page in enumerate(children)]
    return [item for item in pages if _pixels(item[1])]


def _whole(page: tifffile.TiffPage | tifffile.TiffFrame) -> tifffile.TiffPage:
    return page if isinstance(page, tifffile.TiffPage) else page.aspage()


def _pixels(page: tifffile.TiffPage) -> int:
    return page.imagewidth * page.imagelength


def _same_kind(image: tifffile.TiffPage, base: tifffile.TiffPage) -> bool:
    fields = ("imagewidth", "imagelength", "samplesperpixel", "bitspersample", "sampleformat", "photometric")
    return all(getattr(image, field) == getattr(base, field) for field in fields)


def _has_others(tiff: tifffile.TiffFile, number: int, base: tifffile.TiffPage, alike: list[int]) -> bool:
    """Whether there are images that are neither this one nor smaller copies of it."""
    if len(alike) > 1 or (tiff.is_imagej and tiff.series and tiff.series[0].size > base.size):
        return True
    others = [image for other, image in images(tiff) if other != number]
    return any(not int(image.subfiletype) & (_REDUCED | _MASK) and not _has_shape_of(image, base) for image in others)


def _has_shape_of(image: tifffile.TiffPage, base: tifffile.TiffPage) -> bool:
    wide, high = base.imagewidth / image.imagewidth, base.imagelength / image.imagelength
    return abs(wide - high) <= 0.02 * max(wide, high) + max(wide / image.imagewidth, high / image.imagelength)


def _alpha(page: tifffile.TiffPage) -> str:
    extra = [int(value) for value in page.extrasamples or ()]
    if not extra or extra[-1] not in (1, 2):
        return ""
    return "premultiplied" if extra[-1] == 1 else "straight"


def _nodata(page: tifffile.TiffPage) -> float | None:
    if 42113 not in page.tags:
        return None
    try:
        return float(str(page.tags[42113].value).strip("\0 "))
    except ValueError:
        return None


def _is_native(page: tifffile.TiffPage) -> bool:
    """Whether libvips decodes the page, and decodes it right."""
    codec, colour, planar = int(page.compression), int(page.photometric), int(page.planarconfig) != 1
    bands, bits = page.samplesperpixel, page.bitspersample
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    width = page.tilewidth if page.is_tiled else page.imagewidth
    return (
        codec in _NATIVE_CODECS
        and colour in _NATIVE_COLOUR
        and (colour != 6 or codec == 7)
        and (codec != 7 or (bands == (1 if colour in (0, 1) else 3) and colour in (1, 2, 6) and bits == 8))
        and bits in _NATIVE_BITS.get(int(page.sampleformat), ())
        and (bits >= 8 or bands == 1)
        and not (planar and bands > 1)
        and not (page.is_tiled and not _has_native_tiles(page))
        and rows * width * bands * bits // 8 <= _NATIVE_STRIP_BYTES
        and all(0 < length <= _NATIVE_STRIP_BYTES for length in page.databytecounts)
        and not _is_old_lzw(page)
        and all(tag.valuebytecount <= _NATIVE_STRIP_BYTES for tag in page.tags)
    )


def _has_native_tiles(page: tifffile.TiffPage) -> bool:
    """Whether libvips opens tiles of this size (``rtiff_header_read`` in its tiff2vips.c): not ones far larger than the
    image, as the small levels of pyramids with large tiles have.
    """
    largest = 256 * -(-2 * max(page.imagewidth, page.imagelength) // 256)
    sides = (page.tilewidth, page.tilelength)
    return all(side % 16 == 0 and side <= min(largest, 8192) for side in sides)


def _is_old_lzw(page: tifffile.TiffPage) -> bool:
    """LZW with the least significant bit first, as early TIFFs have it: its first code, 256, shows as 00 01."""
    if int(page.compression) != 5 or not len(page.dataoffsets):
        return False
    page.parent.filehandle.seek(page.dataoffsets[0])
    head = page.parent.filehandle.read(2)
    return len(head) == 2 and head[0] == 0 and bool(head[1] & 1)
