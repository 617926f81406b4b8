"""Whole slides written byte by byte, whose pixels are known: VMS, NDPI, SCN, MRXS, BIF, DICOM and Aperio's TIFF."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from tests.corpus.handmade import ASCII, LONG, SHORT, write_tiff

HEIGHT, WIDTH, RIM = 512, 768, 64
_SIGNED_LONG, _DOUBLE = 9, 12


def slide_pixels() -> np.ndarray:
    """``[512, 768, 3]`` uint8."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x // 4, y // 3, (x + y) // 6], -1).astype(np.uint8)


def _jpeg(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=95, subsampling=0, **options)
    return buffer.getvalue()


def write_vms(path: Path, pixels: np.ndarray) -> None:
    """Hamamatsu's index and its JPEG files beside it; half a micrometre per pixel."""
    stem, (height, width) = path.stem, pixels.shape[:2]
    for name, part, options in (
        ("image", pixels, {"restart_marker_rows": 1}),
        ("map", pixels[::4, ::4], {"restart_marker_rows": 1}),
        ("macro", pixels[::8, ::8], {}),
    ):
        path.with_name(f"{stem}_{name}.jpg").write_bytes(_jpeg(part, **options))
    path.write_text(
        "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\n"
        f"ImageFile={stem}_image.jpg\nMapFile={stem}_map.jpg\nMacroImage={stem}_macro.jpg\n"
        f"OptimisationFile={stem}.opt\nPhysicalWidth={width * 500}\nPhysicalHeight={height * 500}\nSourceLens=20\n"
    )


def write_ndpi(path: Path, pixels: np.ndarray) -> None:
    """One JPEG stream whose restart markers the tags point at."""
    height, width = pixels.shape[:2]
    stream = _jpeg(pixels, restart_marker_blocks=8)
    scan = stream.index(b"\xff\xda")
    place = scan + 2 + int.from_bytes(stream[scan + 2 : scan + 4], "big")
    starts = [place]
    while (place := stream.index(b"\xff", place)) and stream[place + 1] != 0xD9:
        if 0xD0 <= stream[place + 1] <= 0xD7:
            starts.append(place + 2)
        place += 2
    entries = [
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [8] * 3),
        (259, SHORT, [7]),
        (262, SHORT, [6]),
        (271, ASCII, list(b"Hamamatsu\0")),
        (273, LONG, [8]),
        (277, SHORT, [3]),
        (278, LONG, [height]),
        (279, LONG, [len(stream)]),
        (65420, LONG, [1]),
        (65421, _DOUBLE, [20.0]),
        *((tag, _SIGNED_LONG, [0]) for tag in (65422, 65423, 65424)),
        (65426, LONG, starts),
    ]
    write_tiff(path, entries, stream)


def write_scn(path: Path, pixels: np.ndarray) -> None:
    """Leica's BigTIFF: a description says which directories are levels of which image.

    The image covers all of the glass but a rim of 64 pixels, which shows white, at the right and at the bottom.
    """
    height, width = pixels.shape[:2]
    glass = (500 * (width + RIM), 500 * (height + RIM))
    steps = (1, 2, 4)
    lamp = "<illuminationSettings><illuminationSource>brightfield</illuminationSource></illuminationSettings>"

    def image(name: str, levels: list[tuple[int, int]], view: tuple[int, int], lens: int) -> str:
        dimensions = "".join(
            f'<dimension sizeX="{width // step}" sizeY="{height // step}" r="{number}" ifd="{directory}"/>'
            for number, (step, directory) in enumerate(levels)
        )
        first = levels[0][0]
        return (
            f'<image name="{name}" uuid="{name}"><creationDate/><device model="x" version="1"/>'
            f'<pixels sizeX="{width // first}" sizeY="{height // first}">{dimensions}</pixels>'
            f'<view sizeX="{view[0]}" sizeY="{view[1]}" offsetX="0" offsetY="0" spacingZ="0"/>'
            f"<scanSettings><objectiveSettings><objective>{lens}</objective></objectiveSettings>{lamp}</scanSettings></image>"
        )

    description = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection name="c" uuid="u" sizeX="{glass[0]}" sizeY="{glass[1]}"><barcode>1</barcode>'
        f"{image('macro', [(8, 3)], glass, 1)}"
        f"{image('main', [(1, 0), (2, 1), (4, 2)], (500 * width, 500 * height), 20)}</collection></scn>"
    )
    encoded = {"tile": (128, 128), "compression": "jpeg", "photometric": "rgb", "metadata": None, "subfiletype": 0}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for step in (*steps, 8):
            text = description if step == 1 else None
            part = np.ascontiguousarray(pixels[::step, ::step])
            writer.write(part, description=text, compressionargs={"level": 95}, **encoded)


def write_aperio(path: Path, levels: list[np.ndarray], micrometres: float) -> None:
    """Levels, a thumbnail behind the first and a label at the end, as ScanScope writes them."""
    encoded = {"tile": (64, 64), "compression": "jpeg", "photometric": "rgb", "metadata": None}
    args = {"compressionargs": {"level": 95}}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        text = f"Aperio Image Library v11\r\n1x1 |AppMag = 20|MPP = {micrometres}"
        writer.write(levels[0], description=text, **encoded, **args)
        writer.write(np.ascontiguousarray(levels[-1][::2, ::2]), photometric="rgb", metadata=None)
        for level in levels[1:]:
            writer.write(level, **encoded, **args)
        writer.write(np.full([40, 90, 3], 200, np.uint8), photometric="rgb", metadata=None, subfiletype=1)


def write_mrxs(path: Path, pixels: np.ndarray, tile: int = 128) -> None:
    """3DHISTECH's file, which says nothing, and the folder of its name: two zoom levels of PNG tiles."""
    rows, columns = pixels.shape[0] // tile, pixels.shape[1] // tile
    folder, name = path.with_suffix(""), "0123456789ABCDEF"
    folder.mkdir()
    path.write_bytes(b"")
    data, pages = b"", []
    for step in (1, 2):
        level, page = pixels[::step, ::step], []
        for row in range(0, rows, step):
            for column in range(0, columns, step):
                top, left = row // step * tile, column // step * tile
                buffer = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(level[top : top + tile, left : left + tile])).save(buffer, "PNG")
                page.append(struct.pack("<4i", row * columns + column, len(data), len(buffer.getvalue()), 0))
                data += buffer.getvalue()
        pages.append(page)
    (folder / "Data0000.dat").write_bytes(data)
    index = f"01.02{name}".encode()
    root = len(index) + 8
    heads = [root + 4 * len(pages)]
    for page in pages:
        heads.append(heads[-1] + 16 + 16 * len(page))
    index += struct.pack("<2i", root, 0) + struct.pack(f"<{len(pages)}i", *heads[:-1])
    for head, page in zip(heads, pages, strict=False):
        index += struct.pack("<4i", 0, head + 8, len(page), 0) + b"".join(page)
    (folder / "Index.dat").write_bytes(index)
    levels = "".join(
        f"[LEVEL_{number}]\nOVERLAP_X=0\nOVERLAP_Y=0\nMICROMETER_PER_PIXEL_X={0.5 * 2**number}\n"
        f"MICROMETER_PER_PIXEL_Y={0.5 * 2**number}\nIMAGE_FORMAT=PNG\nIMAGE_FILL_COLOR_BGR=16777215\n"
        f"DIGITIZER_WIDTH={tile}\nDIGITIZER_HEIGHT={tile}\nIMAGE_CONCAT_FACTOR={number}\n"
        for number in range(len(pages))
    )
    sections = "".join(f"HIER_0_VAL_{number}_SECTION=LEVEL_{number}\n" for number in range(len(pages)))
    (folder / "Slidedat.ini").write_text(
        f"[GENERAL]\nSLIDE_ID={name}\nIMAGENUMBER_X={columns}\nIMAGENUMBER_Y={rows}\nOBJECTIVE_MAGNIFICATION=20\n"
        f"[HIERARCHICAL]\nHIER_COUNT=1\nNONHIER_COUNT=0\nINDEXFILE=Index.dat\nHIER_0_NAME=Slide zoom level\n"
        f"HIER_0_COUNT={len(pages)}\n{sections}[DATAFILE]\nFILE_COUNT=1\nFILE_0=Data0000.dat\n{levels}"
    )


def write_bif(path: Path, pixels: np.ndarray, tile: int = 128) -> None:
    """Ventana's BigTIFF: a label, then levels whose tiles are joined as a description says, from the bottom up."""
    rows, columns = pixels.shape[0] // tile, pixels.shape[1] // tile

    def number(column: int, row: int) -> int:
        """Rows count from the bottom, and every second one from right to left."""
        from_bottom = rows - 1 - row
        return from_bottom * columns + (columns - 1 - column if from_bottom % 2 else column) + 1

    def joint(direction: str, one: int, two: int) -> str:
        return (
            f'<TileJointInfo Direction="{direction}" Tile1="{one}" Tile2="{two}" OverlapX="0" OverlapY="0" '
            'Confidence="98"/>'
        )

    places = [(column, row) for row in range(rows) for column in range(columns)]
    joints = [joint("RIGHT", number(c, r), number(c + 1, r)) for c, r in places if c + 1 < columns]
    joints += [joint("UP", number(c, r), number(c, r - 1)) for c, r in places if r]
    scan = b'<Metadata><iScan Magnification="20" ScanRes="0.5" UnitNumber="1"/></Metadata>'
    encoding = (
        f'<EncodeInfo><SlideStitchInfo><ImageInfo AOIScanned="1" Width="{tile}" Height="{tile}" NumRows="{rows}" '
        f'NumCols="{columns}" Pos-X="0" Pos-Y="0">{"".join(joints)}</ImageInfo></SlideStitchInfo>'
        '<AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    ).encode()
    plain: dict[str, Any] = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        label = np.full([40, 90, 3], 200, np.uint8)
        writer.write(label, description="Label_Image", extratags=[(700, 1, len(scan), scan, True)], **plain)
        for level, step in enumerate((1, 2)):
            writer.write(
                np.ascontiguousarray(pixels[::step, ::step]),
                tile=(tile, tile),
                compression="jpeg",
                compressionargs={"level": 95},
                description=f"level={level} mag={20 // step} quality=95",
                extratags=[] if level else [(700, 1, len(encoding), encoding, True)],
                **plain,
            )


def write_dicom(path: Path, pixels: np.ndarray, tile: int = 128) -> None:
    """A DICOM instance of a whole slide: encapsulated JPEG frames, half a micrometre per pixel."""
    height, width = pixels.shape[:2]
    frames = [
        _jpeg(pixels[top : top + tile, left : left + tile])
        for top in range(0, height, tile)
        for left in range(0, width, tile)
    ]
    slide_class, uid = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.826.0.1.3680043.8.498."
    meta = _element(2, 1, "OB", b"\0\1") + _element(2, 2, "UI", slide_class) + _element(2, 3, "UI", f"{uid}1")
    meta += _element(2, 0x10, "UI", "1.2.840.10008.1.2.4.50") + _element(2, 0x12, "UI", f"{uid}9")
    spacing = _sequence(0x28, 0x9110, _element(0x28, 0x30, "DS", "0.0005\\0.0005"))
    data = b"".join([
        _element(8, 8, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"),
        _element(8, 0x16, "UI", slide_class),
        _element(8, 0x18, "UI", f"{uid}1"),
        _element(8, 0x60, "CS", "SM"),
        _element(0x20, 0xD, "UI", f"{uid}2"),
        _element(0x20, 0xE, "UI", f"{uid}3"),
        _element(0x20, 0x52, "UI", f"{uid}4"),
        _element(0x20, 0x9311, "CS", "TILED_FULL"),
        _element(0x28, 2, "US", struct.pack("<H", 3)),
        _element(0x28, 4, "CS", "YBR_FULL_422"),
        _element(0x28, 6, "US", struct.pack("<H", 0)),
        _element(0x28, 8, "IS", str(len(frames))),
        _element(0x28, 0x10, "US", struct.pack("<H", tile)),
        _element(0x28, 0x11, "US", struct.pack("<H", tile)),
        *(_element(0x28, 0x100 + k, "US", struct.pack("<H", value)) for k, value in enumerate((8, 8, 7, 0))),
        _element(0x48, 1, "FL", struct.pack("<f", width * 0.0005)),
        _element(0x48, 2, "FL", struct.pack("<f", height * 0.0005)),
        _element(0x48, 6, "UL", struct.pack("<I", width)),
        _element(0x48, 7, "UL", struct.pack("<I", height)),
        _sequence(0x48, 8, _sequence(0x48, 0x100)),
        _sequence(0x48, 0x105, _element(0x48, 0x106, "SH", "1")),
        _sequence(0x5200, 0x9229, spacing),
    ])  # fmt: skip
    body = b"".join(_item(frame + b"\0" * (len(frame) % 2)) for frame in [b"", *frames])
    head = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    group = _element(2, 0, "UL", struct.pack("<I", len(meta)))
    path.write_bytes(bytes(128) + b"DICM" + group + meta + data + head + body + end)


def _element(group: int, number: int, kind: str, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    data += (b"\0" if kind in ("UI", "OB") else b" ") * (len(data) % 2)
    if kind == "OB":
        return struct.pack("<HH2sHI", group, number, kind.encode(), 0, len(data)) + data
    return struct.pack("<HH2sH", group, number, kind.encode(), len(data)) + data


def _sequence(group: int, number: int, *items: bytes) -> bytes:
    body = b"".join(_item(item) for item in items)
    return struct.pack("<HH2sHI", group, number, b"SQ", 0, len(body)) + body


def _item(data: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data
