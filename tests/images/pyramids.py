"""Textured images, pyramids of them and batches of their features, for the tests of this folder."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pyvips
import tensorflow as tf

from tfvs.data.example import PYRAMID_LEVELS, ImageRecord, TileIndex, parse_examples, to_example
from tfvs.images.crops.dense import read_region_crops
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.ops.crop_rule import choose_level

CROP = 24  # side of the crops that the folder's shared reader cuts, pixels
ROUNDING = 3e-5  # of float32 positions: under a hundredth of a grey level
# Sizes that are no multiple of the tile, not square; every compression, both depths.
COLOUR = {
    "jpeg": ((700, 500), {"compression": "jpeg"}),
    "chroma": ((410, 400), {"compression": "jpeg", "quality": 80, "tile_size": 128}),
    "deflate": ((333, 999), {"compression": "deflate", "tile_size": 64}),
    "predictor": ((600, 640), {"compression": "deflate", "predictor": True, "tile_size": 128}),
    "none": ((130, 700), {"compression": "none", "tile_size": 128, "subifd": True}),
    "deep": ((600, 640), {"compression": "deflate", "tile_size": 128}),
    "deep_predictor": ((410, 400), {"compression": "deflate", "predictor": True, "tile_size": 64}),
    "deep_none": ((310, 400), {"compression": "none", "tile_size": 128}),
}


def texture(height: int, width: int, bands: int = 3, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """Smooth noise, so that JPEG keeps it nearly and no two places are alike."""
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    small = rng.integers(0, top, (height // 8 + 2, width // 8 + 2, bands)).astype(dtype)
    image = pyvips.Image.new_from_array(small).resize(8, kernel="cubic").crop(0, 0, width, height)
    return image.cast("uchar" if dtype == "uint8" else "ushort").numpy().reshape(height, width, bands)


def as_image(array: np.ndarray) -> pyvips.Image:
    deep = array.dtype == np.uint16
    colour = {1: "grey16" if deep else "b-w", 3: "rgb16" if deep else "srgb"}
    return pyvips.Image.new_from_array(array).copy(interpretation=colour[array.shape[2]])


def png(width: int, height: int, colour_type: int, lines: bytes, palette: bytes = b"") -> bytes:
    """A PNG of 8 bits, written by hand so that its header may say anything."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    chunks = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))]
    chunks += [chunk(b"PLTE", palette)] if palette else []
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")])


def features_of(*entries: tuple[str, TileIndex]) -> dict[str, tf.Tensor]:
    examples = [to_example(ImageRecord(uri, 0, "", b"", uri, index)).SerializeToString() for uri, index in entries]
    return parse_examples(tf.constant(examples))


def level_sizes(features: dict[str, tf.Tensor]) -> tf.Tensor:
    """``[B, L, 2]`` height and width."""
    return tf.reshape(features[PYRAMID_LEVELS], [features[PYRAMID_LEVELS].shape[0], -1, 5])[..., 1::-1]


def decode_level(path: Path, level: int, subifd: bool = False) -> np.ndarray:
    """A whole level by libvips, float32 in [0, 1]."""
    where = {"subifd": level - 1} if subifd and level else {"page": level} if not subifd else {}
    image = pyvips.Image.tiffload(str(path), revalidate=True, **where)
    array = image.numpy().reshape(image.height, image.width, image.bands)
    return (array / np.float32(np.iinfo(array.dtype).max)).astype(np.float32)


def crop_of_level(level: np.ndarray, box: tf.Tensor, crop_size: int, margin_px: int = 1) -> tf.Tensor:
    """``[S, S, C]`` out of a decoded level, as the region path samples it."""
    image = tf.constant(level[np.newaxis])
    return read_region_crops(image, box[tf.newaxis, tf.newaxis], crop_size, margin_px=margin_px, max_level=0)[0, 0]


def random_boxes(rng: np.random.Generator, sizes: list[tuple[int, int]], steps: int) -> tf.Tensor:
    """``[B, T, 4]`` boxes square in pixels, of all scales, also over the border."""
    size = np.array(sizes, np.float64)
    scale = np.exp(rng.uniform(np.log(0.03), 0.0, (len(sizes), steps, 1)))
    half = scale * size.min(1)[:, None, None] / size[:, None] / 2
    centre = rng.uniform(0, 1, (len(sizes), steps, 2))
    return tf.constant(np.concatenate([centre - half, centre + half], -1), tf.float32)


def write(root, name, size, bands=3, seed=0, **options):
    """A pyramid of texture, 16 bits deep where its name says so."""
    dtype = "uint16" if name.startswith("deep") else "uint8"
    path = root / f"{name}.tif"
    return path, write_pyramid(as_image(texture(*size, bands, dtype, seed)), path, **options)


def same_as_levels(paths, features, boxes, crops, gradients, subifd=(), margin=1, gradient_tolerance=2e-4):
    """Holds crops, and gradients of the sum of their squares, to those of whole decoded levels."""
    size = crops.shape[2]
    levels = choose_level(boxes, level_sizes(features), size).numpy()
    for b, path in enumerate(paths):
        for t in range(boxes.shape[1]):
            level = decode_level(path, levels[b, t], subifd=path.stem in subifd)
            box = boxes[b, t]
            with tf.GradientTape() as tape:
                tape.watch(box)
                expected = crop_of_level(level, box, size, margin)
                loss = tf.reduce_sum(expected**2)
            np.testing.assert_allclose(
                crops[b, t], expected, atol=ROUNDING, err_msg=f"{path.stem} level {levels[b, t]}"
            )
            if gradients is not None:
                gradient = tape.gradient(loss, box).numpy()
                tolerance = gradient_tolerance * np.abs(gradient).max() + 1e-4
                np.testing.assert_allclose(gradients[b, t], gradient, atol=tolerance)
    return levels
