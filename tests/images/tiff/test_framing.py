"""Pyramids that others wrote: indexed as they are where possible, framed without re-encoding, refused with a reason."""

import numpy as np
import pytest
import pyvips
import tensorflow as tf
import tifffile

from tests.images.pyramids import (
    as_image,
    crop_of_level,
    features_of,
    level_sizes,
    random_boxes,
    same_as_levels,
    texture,
)
from tfvs.errors import ImageError
from tfvs.images.crops.reader import read_crops
from tfvs.images.tiff.framing import frame
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index
from tfvs.ops.crop_rule import choose_level

CROP = 16


def halvings(array: np.ndarray, count: int, step: int = 2) -> list[np.ndarray]:
    return [np.ascontiguousarray(array[:: step**i, :: step**i]) for i in range(count)]


def svs_like(path, array, byteorder, bigtiff, **options):
    """Level 0, a stripped thumbnail, levels that quarter, a label: as Aperio lays them out."""
    levels = halvings(array, 3, step=4)
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff) as out:
        out.write(levels[0], tile=(64, 64), photometric="rgb", description="Aperio Image Library", **options)
        out.write(array[::8, ::8], photometric="rgb", compression="deflate")
        for level in levels[1:]:
            out.write(level, tile=(64, 64), photometric="rgb", subfiletype=1, **options)
        out.write(array[:30, :40], photometric="rgb", subfiletype=1)
    return levels


def ome_like(path, array, byteorder, bigtiff, **options):
    levels = halvings(array, 3)
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff, ome=True) as out:
        out.write(levels[0], tile=(64, 64), photometric="rgb", subifds=2, metadata={"axes": "YXS"}, **options)
        for level in levels[1:]:
            out.write(level, tile=(64, 64), photometric="rgb", subfiletype=1, **options)
    return levels


def cog_like(path, array, byteorder, bigtiff, **options):
    """Overviews as pages, with a mask between them."""
    levels = halvings(array, 3)
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff) as out:
        out.write(levels[0], tile=(64, 64), photometric="rgb", **options)
        out.write(np.ones(array.shape[:2], bool), photometric="minisblack", subfiletype=4)
        for level in levels[1:]:
            out.write(level, tile=(64, 64), photometric="rgb", subfiletype=1, **options)
    return levels


DEFLATE = {"compression": "deflate", "predictor": True}
JPEG = {"compression": "jpeg", "compressionargs": {"level": 95}}


@pytest.mark.parametrize(
    ("layout", "byteorder", "bigtiff", "dtype", "options"),
    [
        (svs_like, "<", False, "uint8", JPEG),
        (svs_like, ">", True, "uint8", DEFLATE),
        (svs_like, "<", True, "uint16", {}),
        (ome_like, ">", False, "uint16", {}),
        (ome_like, "<", True, "uint16", DEFLATE),
        (ome_like, ">", True, "uint8", JPEG),
        (cog_like, "<", False, "uint8", DEFLATE),
        (cog_like, ">", False, "uint16", DEFLATE),
        (cog_like, "<", True, "uint8", {}),
    ],
)
def test_foreign_pyramids_as_they_are_and_framed(tmp_path, layout, byteorder, bigtiff, dtype, options):
    source, framed = tmp_path / "source.tif", tmp_path / "framed.tif"
    levels = layout(source, texture(300, 420, 3, dtype), byteorder, bigtiff, **options)
    if "compression" in options and options["compression"] == "jpeg":
        levels = decoded_levels(source, [level.shape for level in levels])
    index = read_index(source)
    assert not index.framed
    assert [(level[1], level[0]) for level in index.levels] == [level.shape[:2] for level in levels]
    again = frame(source, framed)
    assert again.framed
    assert (again.levels, again.dtype, again.compression) == (index.levels, index.dtype, index.compression)
    for key in range(len(tifffile.TiffFile(source).pages)):
        np.testing.assert_array_equal(tifffile.imread(framed, key=key), tifffile.imread(source, key=key))
    np.testing.assert_array_equal(
        pyvips.Image.tiffload(str(framed)).numpy(), pyvips.Image.tiffload(str(source)).numpy()
    )

    features = features_of((source.name, index), (framed.name, again))
    boxes = random_boxes(np.random.default_rng(3), [(300, 420)], 4)
    boxes = tf.tile(boxes, [2, 1, 1])
    crops, valid, _ = read_crops(features, boxes, CROP, roots=[str(tmp_path)], bands=3)
    assert valid.numpy().all()
    np.testing.assert_array_equal(crops[0], crops[1])
    chosen = choose_level(boxes, level_sizes(features), CROP).numpy()
    for t in range(4):
        level = (levels[chosen[0, t]] / np.float32(np.iinfo(dtype).max)).astype(np.float32)
        tolerance = 2 / 255 if options.get("compression") == "jpeg" else 3e-5
        np.testing.assert_allclose(crops[0, t], crop_of_level(level, boxes[0, t], CROP), atol=tolerance)


def decoded_levels(path, shapes):
    """What imagecodecs makes of the JPEG tiles."""
    with tifffile.TiffFile(path) as tiff:
        pages = [*tiff.pages, *(tiff.pages[0].pages or [])]
        return [next(page.asarray() for page in pages if page.shape == shape and page.is_tiled) for shape in shapes]


def test_levels_with_tables_of_their_own_are_framed_with_them(tmp_path):
    source, framed = tmp_path / "a.tif", tmp_path / "b.tif"
    array = texture(256, 256)
    parts = ((90, array), (60, np.ascontiguousarray(array[::2, ::2])))
    with tifffile.TiffWriter(source) as out:
        for quality, level in parts:
            out.write(
                level,
                tile=(64, 64),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": quality},
                subfiletype=int(quality == 60),
            )
    index = frame(source, framed)
    assert len(index.levels) == 2
    np.testing.assert_array_equal(tifffile.imread(framed, key=1), tifffile.imread(source, key=1))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "not tiled"),
        ({"tile": (64, 64), "compression": "lzw"}, "compression"),
        ({"tile": (64, 64), "dtype": "float32"}, "8 or 16 bits"),
        ({"tile": (64, 64), "dtype": "int16"}, "8 or 16 bits"),
        ({"tile": (64, 64), "planarconfig": "separate"}, "separate planes"),
        ({"tile": (2048, 2048)}, "too large"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path, options, reason):
    path = tmp_path / "a.tif"
    dtype = options.pop("dtype", "uint8")
    array = np.zeros((3, 70, 70) if "planarconfig" in options else (70, 70, 3), dtype)
    tifffile.imwrite(path, array, photometric="rgb", **options)
    with pytest.raises(ImageError, match=reason):
        read_index(path)


@pytest.mark.parametrize("quality", [70, 92])
def test_jpeg_pyramids_of_libvips_with_shared_tables(tmp_path, quality):
    # Chroma is subsampled below a quality of 90.
    path, framed = tmp_path / "a.tif", tmp_path / "b.tif"
    options = {"tile": True, "tile_width": 128, "tile_height": 128, "pyramid": True, "compression": "jpeg"}
    as_image(texture(300, 420)).tiffsave(str(path), Q=quality, **options)
    index = read_index(path)
    assert not index.framed
    again = frame(path, framed)
    boxes = tf.tile(random_boxes(np.random.default_rng(7), [(300, 420)], 6), [2, 1, 1])
    features = features_of((path.name, index), (framed.name, again))
    crops, valid, _ = read_crops(features, boxes, CROP, roots=[str(tmp_path)], bands=3)
    assert valid.numpy().all()
    np.testing.assert_array_equal(crops[0], crops[1])
    same_as_levels([path], features, boxes[:1], crops[:1], None)


def test_framing_a_framed_file_changes_no_pixel(tmp_path):
    once, twice = tmp_path / "a.tif", tmp_path / "b.tif"
    index = write_pyramid(as_image(texture(200, 300)), once, tile_size=64)
    again = frame(once, twice)
    assert (again.levels, again.tile_bytes, again.framed) == (index.levels, index.tile_bytes, True)
    for page in range(len(index.levels)):
        np.testing.assert_array_equal(tifffile.imread(once, key=page), tifffile.imread(twice, key=page))


@pytest.mark.parametrize("tag", [256, 257])
def test_a_level_without_pixels_is_refused(tmp_path, tag):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, texture(64, 64), tile=(64, 64), photometric="rgb")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        where = tiff.pages[0].tags[tag].valueoffset
    data[where : where + 2] = b"\0\0"
    path.write_bytes(data)
    for attempt in (read_index, lambda path: frame(path, tmp_path / "b.tif")):
        with pytest.raises(ImageError):
            attempt(path)


def test_no_tiff_and_no_file(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"not a TIFF at all")
    with pytest.raises(ImageError, match="directories"):
        read_index(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="no such"):
        read_index(tmp_path / "b.tif")
    with pytest.raises(ImageError):
        frame(tmp_path / "a.tif", tmp_path / "c.tif")
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif"}


def test_tiles_beyond_the_end_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, texture(256, 256), tile=(64, 64), photometric="rgb")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        where = tiff.pages[0].tags[324].valueoffset
    data[where : where + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ImageError, match="beyond the end"):
        read_index(path)
