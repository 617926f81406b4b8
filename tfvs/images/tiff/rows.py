"""TIFFs that libvips cannot read, decoded by tifffile and imagecodecs: a row of tiles, or a strip, at a time."""

from __future__ import annotations

import io
import os
import threading

import numpy as np
import tifffile

from tfvs.errors import ImageError
from tfvs.images.tiff.choice import TiffChoice, page_at
from tfvs.images.tiff.parsing import name_of

# Largest decoded size of a row of tiles or of a strip. A strip is decoded whole, and some files are one strip.
MAX_PART_BYTES = 2 << 30
_JPEG, _GREY_INVERTED, _GREY, _RGB, _PALETTE, _YCBCR = 7, 0, 1, 2, 3, 6
_RAW = 1


class TiffRows:
    """Rows of the chosen image of a TIFF, as grey or RGB with whatever further bands there are.

    Args:
      source: Path or bytes.
      choice: Which pages.

    Attributes:
      width: Pixels.
      height: Pixels.
      bands: Samples per pixel.
      dtype: Data type of the samples: bits are brought to 8 or 16, double precision to single.
      alpha: Whether the last band is alpha.

    Raises:
      ImageError: The colours or samples are of a kind that is not read.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes, choice: TiffChoice) -> None:
        self._name = name_of(source)
        self._tiff = tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else self._name)
        self._pages = [page_at(self._tiff, number) for number in choice.pages]
        self._lock = threading.Lock()
        base = self._base = self._pages[0]
        self._check(base)
        self.width, self.height, self.alpha = base.imagewidth, base.imagelength, bool(choice.alpha)
        self.bands = 3 if int(base.photometric) == _PALETTE else choice.bands
        self._part_rows = base.tilelength if base.is_tiled else min(base.rowsperstrip, base.imagelength)
        self._parts: dict[int, np.ndarray] = {}
        self.dtype = _output_dtype(base)

    def read(self, first: int, stop: int) -> np.ndarray:
        """Rows as ``[rows, width, bands]``.

        Raises:
          ImageError: A tile or strip is damaged.
        """
        with self._lock:
            if self._is_raw():
                return self._finish(self._read_raw(first, stop))
            pieces = []
            while first < stop:
                number, skipped = divmod(first, self._part_rows)
                last = min(stop, (number + 1) * self._part_rows)
                pieces.append(self._part(number)[skipped : last - number * self._part_rows])
                first = last
            return np.concatenate(pieces)

    def metadata(self) -> tuple[int, bytes]:
        """Orientation, 1 to 8, and ICC profile; empty where there is none."""
        tags = self._base.tags
        profile = tags.valueof(34675) or b""
        orientation = tags.valueof(274)
        return (int(orientation) if orientation in range(1, 9) else 1), bytes(profile)

    def _check(self, page: tifffile.TiffPage) -> None:
        colour, bits = int(page.photometric), page.bitspersample
        if colour not in (_GREY_INVERTED, _GREY, _RGB, _PALETTE, _YCBCR) or (
            colour == _YCBCR and not _is_jpeg_like(page)
        ):
            raise ImageError(
                "This colour interpretation is not read in this encoding",
                expected="grey, RGB, a palette, or YCbCr in JPEG",
                received=f"{page.photometric!r}, {page.compression!r} in {self._name}",
            )
        if page.dtype is None or page.dtype.kind not in "buif" or bits > 64 or page.imagedepth != 1:
            raise ImageError(
                "Samples of this kind are not read",
                expected="unsigned, signed or floating numbers",
                received=f"{bits} bits, sample format {page.sampleformat!r} in {self._name}",
            )
        rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
        part_bytes = rows * page.imagewidth * page.samplesperpixel * page.dtype.itemsize
        if part_bytes > MAX_PART_BYTES and not self._is_raw():
            raise ImageError(
                "A row of tiles or a strip is too large to be decoded",
                expected=f"at most {MAX_PART_BYTES} bytes",
                received=f"{part_bytes} in {self._name}",
                mend="Write the image anew in smaller strips or in tiles",
            )

    def _is_raw(self) -> bool:
        """Whether rows lie in the file as they are, so that none has to be decoded with others."""
        page = self._base
        dtype = page.dtype
        return (
            len(self._pages) == 1
            and int(page.compression) == _RAW
            and int(page.predictor) == 1
            and not page.is_tiled
            and (int(page.planarconfig) == 1 or page.samplesperpixel == 1)
            and int(page.fillorder) == 1
            and dtype is not None
            and page.bitspersample == 8 * dtype.itemsize
            and int(page.photometric) != _YCBCR
        )

    def _read_raw(self, first: int, stop: int) -> np.ndarray:
        page = self._base
        dtype = np.dtype(page.dtype).newbyteorder(self._tiff.byteorder)
        row_bytes = self.width * page.samplesperpixel * dtype.itemsize
        rows = np.empty((stop - first, self.width * page.samplesperpixel), dtype)
        for row in range(first, stop):
            number, skipped = divmod(row, self._part_rows)
            self._tiff.filehandle.seek(int(page.dataoffsets[number]) + skipped * row_bytes)
            data = self._tiff.filehandle.read(row_bytes)
            if len(data) < row_bytes:
                raise ImageError("A strip lies beyond the end of the file", received=f"row {row} of {self._name}")
            rows[row - first] = np.frombuffer(data, dtype)
        return rows.reshape(stop - first, self.width, page.samplesperpixel)

    def _part(self, number: int) -> np.ndarray:
        """A row of tiles or a strip, ``[rows, width, bands]``; the last one is kept."""
        if number not in self._parts:
            rows = min(self._part_rows, self.height - number * self._part_rows)
            planes = [self._decode(page, number, rows) for page in self._pages]
            pixels = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1)
            self._parts = {number: self._finish(pixels)}
        return self._parts[number]

    def _decode(self, page: tifffile.TiffPage, number: int, rows: int) -> np.ndarray:
        bands = page.samplesperpixel
        planes = bands if int(page.planarconfig) == 2 and bands > 1 else 1
        tile_width = page.tilewidth if page.is_tiled else self.width
        across, down = -(-self.width // tile_width), -(-self.height // self._part_rows)
        fill = page.nodata if isinstance(page.nodata, int | float) else 0
        out = np.full((rows, self.width, bands), fill, page.dtype)
        for plane in range(planes):
            for column in range(across):
                place = (plane * down + number) * across + column
                pixels = self._decode_tile(page, place)
                if pixels is None:  # a sparse file leaves this tile out
                    continue
                left = column * tile_width
                part = pixels[:rows, : self.width - left]
                if part.shape[0] < rows or part.shape[1] < min(tile_width, self.width - left):
                    raise self._damaged(place, f"{part.shape} pixels")
                out[:, left : left + part.shape[1], plane : plane + part.shape[2]] = part
        return out

    def _decode_tile(self, page: tifffile.TiffPage, place: int) -> np.ndarray | None:
        start, length = int(page.dataoffsets[place]), int(page.databytecounts[place])
        if start == 0 or length == 0:
            return None
        handle = self._tiff.filehandle
        if start + length > handle.size:
            raise ImageError("A tile or strip lies beyond the end of the file", received=f"{place} of {self._name}")
        handle.seek(start)
        data = handle.read(length)
        try:
            pixels, _, _ = page.decode(data, place, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        except Exception as error:  # each codec has errors of its own
            raise self._damaged(place, str(error)) from error
        if pixels is None:
            return None
        return pixels.reshape(pixels.shape[-3:])

    def _damaged(self, place: int, received: str) -> ImageError:
        return ImageError("A tile or strip is damaged", received=f"number {place} of {self._name}: {received}"[:300])

    def _finish(self, pixels: np.ndarray) -> np.ndarray:
        """Bits, palettes and inverted grey become plain samples."""
        page, bits = self._base, self._base.bitspersample
        if int(page.photometric) == _PALETTE:
            colours = np.asarray(page.colormap).T  # [2^bits, 3] uint16
            return (colours[pixels[..., 0]] >> 8).astype(self.dtype)
        if pixels.dtype.kind == "b" or (pixels.dtype.kind == "u" and bits not in (8, 16, 32)):
            top = (1 << bits) - 1
            white = 255 if bits < 8 else 65535
            pixels = (pixels.astype(np.uint32) * white + top // 2) // top
        if int(page.photometric) == _GREY_INVERTED and self.dtype.kind == "u" and self.bands == 1:
            pixels = np.iinfo(self.dtype).max - pixels
        return pixels.astype(self.dtype, copy=False)


def _output_dtype(page: tifffile.TiffPage) -> np.dtype:
    dtype, bits = np.dtype(page.dtype), page.bitspersample
    if dtype.kind == "b" or bits < 8 or int(page.photometric) == _PALETTE:
        return np.dtype(np.uint8)
    if dtype.kind == "f":
        return np.dtype(np.float32)
    if dtype.kind == "u":
        return np.dtype(np.uint8 if bits == 8 else np.uint16 if bits <= 16 else np.uint32)
    return np.dtype(np.int8 if bits == 8 else np.int16 if bits <= 16 else np.int32)


def _is_jpeg_like(page: tifffile.TiffPage) -> bool:
    """Codecs that bring YCbCr to RGB themselves: JPEG, old and new, JPEG 2000, WebP, JPEG XL."""
    return int(page.compression) in (6, 7, 33003, 33004, 33005, 34712, 50001, 50002, 52546, 34933)
