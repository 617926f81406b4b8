"""FiveK's expert TIFFs: 16 bits in ProPhoto RGB, which becomes 8-bit sRGB."""

import struct

import numpy as np
import pytest
import pyvips

from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.decode import Task, decode
from tfvs.preparation.options import PrepareOptions

# Colorants of ROMM (ProPhoto) RGB in the D50 connection space, and its gamma.
COLORANTS = {b"rXYZ": (0.79767, 0.28804, 0.0), b"gXYZ": (0.13519, 0.71187, 0.0), b"bXYZ": (0.03134, 0.00009, 0.8251)}
GAMMA = 1.8
# sRGB colours, and linear ProPhoto of the same.
COLOURS = {
    (255, 0, 0): (0.5293, 0.0984, 0.0169),
    (0, 255, 0): (0.3300, 0.8734, 0.1177),
    (0, 0, 255): (0.1406, 0.0282, 0.8653),
    (255, 255, 255): (1.0, 1.0, 1.0),
    (188, 188, 188): (0.5029, 0.5029, 0.5029),
}


def prophoto_profile() -> bytes:
    """A matrix profile of ICC version 2."""

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    name = b"ProPhoto\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78 + 3),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        **{tag: xyz(values) for tag, values in COLORANTS.items()},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", start + len(data), len(value))
        data += value
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">I4sI4s4s4s12x4s", 128 + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + body


@pytest.mark.parametrize("pyramid", [False, True])
def test_prophoto_becomes_srgb(tmp_path, pyramid):
    encoded = np.rint(65535 * np.array(list(COLOURS.values())) ** (1 / GAMMA)).astype(np.uint16)
    pixels = np.repeat(np.repeat(encoded[np.newaxis], 40, axis=0), 40, axis=1)  # stripes of 40 pixels
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="rgb16").copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", prophoto_profile())
    tiled = {"tile": True, "pyramid": True, "tile_width": 64, "tile_height": 64} if pyramid else {}
    image.tiffsave(str(tmp_path / "a.tif"), compression="deflate", **tiled)
    options = PrepareOptions(proxy=ProxyRecipe(channels=3), compression="none", dtype="uint8", tile_size=64)
    target = tmp_path / "p.tif"
    decoded = decode(Task(str(tmp_path / "a.tif"), None, str(target), options, "00"))
    assert (decoded.index.dtype, decoded.index.compression) == ("uint8", "none")
    found = pyvips.Image.new_from_file(str(target)).numpy()[20, 20::40]
    wanted = np.array(list(COLOURS))
    np.testing.assert_allclose(found[:3].astype(int), wanted[:3], atol=25)  # unconverted they are 100 off and more
    np.testing.assert_allclose(found[3:].astype(int), wanted[3:], atol=2)
