"""JPEG and PNG files in the graph, brought to what :func:`tfvs.images.reading.normalize` makes of them.

Images are turned upright by EXIF, laid over white where they have alpha, and brought to the colours and depth of the
model's training images. Colour profiles cannot be followed here, so images of other colours than sRGB are refused. Only
stock operations are used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvs.export.guarded import JPEG
from tfvs.images.proxy import code_light, luminance

MAX_PARTS = 1024  # segments or chunks before the pixels; a file with more is refused
_SCAN = 0xFFDA  # the marker before the pixels
_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
_ORIENTATION_TAG = 0x0112
_CODES = np.rint(255 * code_light(np.arange(256) / 255, np)).astype(np.float32)
_GREY, _GREY_ALPHA, _RGB_ALPHA = 0, 4, 6  # PNG colour types


class Facts(NamedTuple):
    """What a file says of its pixels, scalars: orientation 1 to 8, and whether they are grey, have alpha, and follow a
    colour profile or colours that the graph cannot convert."""

    orientation: tf.Tensor
    grey: tf.Tensor
    alpha: tf.Tensor
    profiled: tf.Tensor


def read_facts(encoded: tf.Tensor, kind: tf.Tensor) -> Facts:
    """Reads the segments or chunks in front of the pixels. Fails for a damaged file.

    Args:
      encoded: Scalar string, a JPEG or PNG.
      kind: Format, of :func:`tfvs.export.guarded.image_header`.
    """
    return Facts(*tf.cond(tf.equal(kind, JPEG), lambda: _jpeg_facts(encoded), lambda: _png_facts(encoded)))


def upright_size(size: tf.Tensor, facts: Facts) -> tf.Tensor:
    """``[2]`` height and width of the upright image."""
    return tf.where(facts.orientation >= 5, size[::-1], size)


def decode_normalized(
    encoded: tf.Tensor, kind: tf.Tensor, deep: tf.Tensor, facts: Facts, bands: int, dtype: str | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """One image as the model's training images were. Fails for a damaged body.

    Args:
      encoded: Scalar string.
      kind: Format, of :func:`tfvs.export.guarded.image_header`.
      deep: Whether samples have 16 bits.
      facts: Facts of :func:`read_facts`; not profiled.
      bands: 1 to 4.
      dtype: ``"uint8"`` or ``"uint16"``; None keeps the depth.

    Returns:
      ``[H, W, bands]`` float32 in [0, 1], and the greatest value that samples have: 255, or 65535 for 16 bits.
    """

    def jpeg() -> tf.Tensor:
        # The accurate transform: what libvips and other readers give.
        pixels = tf.cast(tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)
        return tf.concat([pixels, tf.fill(tf.concat([tf.shape(pixels)[:2], [1]], 0), 255.0)], axis=-1)

    def png() -> tf.Tensor:
        return tf.cast(tf.io.decode_png(encoded, channels=4), tf.float32)

    def deep_png() -> tf.Tensor:
        return tf.cast(tf.io.decode_png(encoded, channels=4, dtype=tf.uint16), tf.float32)

    pixels = tf.case([(tf.equal(kind, JPEG), jpeg), (deep, deep_png)], default=png)
    pixels = _upright(tf.ensure_shape(pixels, [None, None, 4]), facts.orientation)
    top = tf.where(deep, 65535.0, 255.0)
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if bands not in (2, 4):
        over_white = lambda: tf.floor((colour * alpha + top * (top - alpha)) / top)  # noqa: E731
        colour = tf.cond(facts.alpha, over_white, lambda: colour)
    if bands <= 2:
        colour = tf.cond(facts.grey, lambda: colour[..., :1], lambda: _grey(colour, deep))
    pixels = colour if bands in (1, 3) else tf.concat([colour, alpha], axis=-1)
    if dtype == "uint8":
        pixels = tf.cond(deep, lambda: tf.floor((pixels + 128.0) / 257.0), lambda: pixels)
        top = tf.constant(255.0)
    elif dtype == "uint16":
        pixels = tf.cond(deep, lambda: pixels, lambda: pixels * 257.0)
        top = tf.constant(65535.0)
    return tf.ensure_shape(pixels / top, [None, None, bands]), top


def _grey(colour: tf.Tensor, deep: tf.Tensor) -> tf.Tensor:
    """Luminance as libvips computes it: for 8 bits from a table of whole numbers, interpolated."""

    def shallow() -> tf.Tensor:
        light = luminance(colour / 255.0, tf) * 255.0
        below = tf.clip_by_value(tf.floor(light), 0.0, 255.0)
        table, place = tf.constant(_CODES), tf.cast(below, tf.int32)
        low, high = tf.gather(table, place), tf.gather(table, tf.minimum(place + 1, 255))
        return tf.round(low + (high - low) * (light - below))

    return tf.cond(deep, lambda: tf.round(code_light(luminance(colour / 65535.0, tf), tf) * 65535.0), shallow)


def _upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turned and mirrored by the EXIF orientation, 1 to 8."""

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(tf.equal(orientation, list(values)))

    pixels = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    pixels = tf.cond(one_of(3, 4, 7, 8), lambda: pixels[::-1], lambda: pixels)
    return tf.cond(one_of(2, 3, 6, 7), lambda: pixels[:, ::-1], lambda: pixels)


def _number(values: tf.Tensor, start: tf.Tensor, count: int, big: tf.Tensor | bool = True) -> tf.Tensor:
    """An unsigned whole number of bytes ``[N]`` int64 at a place; fails outside."""
    part = tf.slice(values, [start], [count])
    powers = tf.constant([256**i for i in range(count)], tf.int64)
    return tf.reduce_sum(tf.where(big, part[::-1], part) * powers)


def _bytes(encoded: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int64)


def _jpeg_facts(encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Walks the segments up to the first scan."""
    channels = tf.io.extract_jpeg_shape(encoded)[2]
    length = tf.strings.length(encoded)

    def marker_at(place: tf.Tensor) -> tf.Tensor:
        return _number(_bytes(tf.strings.substr(encoded, place, 2)), tf.constant(0), 2)

    def more(place: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.cond(place + 4 <= length, lambda: tf.not_equal(marker_at(place), _SCAN), lambda: tf.constant(False))

    def step(place: tf.Tensor, exif: tf.Tensor, profiled: tf.Tensor) -> tuple[tf.Tensor, ...]:
        marker = marker_at(place)
        size = tf.cast(_number(_bytes(tf.strings.substr(encoded, place + 2, 2)), tf.constant(0), 2), tf.int32)
        content = tf.strings.substr(encoded, place + 4, tf.maximum(size - 2, 0))
        is_exif = tf.equal(marker, 0xFFE1) & tf.equal(tf.strings.substr(content, 0, len(_EXIF)), _EXIF)
        first = is_exif & tf.equal(exif, b"")
        exif = tf.where(first, content, exif)
        is_icc = tf.equal(marker, 0xFFE2) & tf.equal(tf.strings.substr(content, 0, len(_ICC)), _ICC)
        fill = tf.equal(marker, 0xFFFF)
        return tf.where(fill, place + 1, place + 2 + tf.maximum(size, 2)), exif, profiled | (is_icc & ~fill)

    start = (tf.constant(2), tf.constant(b""), tf.constant(False))
    place, exif, profiled = tf.while_loop(more, step, start, maximum_iterations=MAX_PARTS)
    with tf.control_dependencies([tf.debugging.assert_equal(marker_at(place), tf.constant(_SCAN, tf.int64))]):
        grey = tf.equal(channels, 1)
        found = tf.cond(tf.equal(exif, b""), lambda: exif, lambda: tf.strings.substr(exif, len(_EXIF), -1))
        return _orientation(found), grey, tf.constant(False), (profiled & ~grey) | (channels > 3)


def _png_facts(encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Walks the chunks up to the first pixels."""
    length = tf.strings.length(encoded)
    colour = _number(_bytes(tf.strings.substr(encoded, 25, 1)), tf.constant(0), 1)

    def kind_at(place: tf.Tensor) -> tf.Tensor:
        return tf.strings.substr(encoded, place + 4, 4)

    def more(place: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.cond(place + 8 <= length, lambda: tf.not_equal(kind_at(place), b"IDAT"), lambda: tf.constant(False))

    def step(place: tf.Tensor, exif: tf.Tensor, profiled: tf.Tensor, transparent: tf.Tensor) -> tuple[tf.Tensor, ...]:
        size = _number(_bytes(tf.strings.substr(encoded, place, 4)), tf.constant(0), 4)
        size = tf.cast(tf.minimum(size, tf.cast(length, tf.int64)), tf.int32)
        kind = kind_at(place)
        first = tf.equal(kind, b"eXIf") & tf.equal(exif, b"")
        exif = tf.where(first, tf.strings.substr(encoded, place + 8, size), exif)
        return place + 12 + size, exif, profiled | tf.equal(kind, b"iCCP"), transparent | tf.equal(kind, b"tRNS")

    start = (tf.constant(8), tf.constant(b""), tf.constant(False), tf.constant(False))
    place, exif, profiled, transparent = tf.while_loop(more, step, start, maximum_iterations=MAX_PARTS)
    with tf.control_dependencies([tf.debugging.assert_equal(kind_at(place), b"IDAT")]):
        grey = tf.equal(colour, _GREY) | tf.equal(colour, _GREY_ALPHA)
        alpha = transparent | tf.equal(colour, _GREY_ALPHA) | tf.equal(colour, _RGB_ALPHA)
        return _orientation(exif), grey, alpha, profiled & ~grey


def _orientation(exif: tf.Tensor) -> tf.Tensor:
    """EXIF's orientation, 1 where there is none; ``exif`` begins with the TIFF header."""
    values = _bytes(exif)
    count = tf.size(values)
    big = tf.strings.regex_full_match(exif, r"(?s)MM\C*")

    def read() -> tf.Tensor:
        directory = tf.cast(tf.minimum(_number(values, tf.constant(4), 4, big), 1 << 30), tf.int32)

        def search() -> tf.Tensor:
            entries = tf.cast(_number(values, directory, 2, big), tf.int32)
            entries = tf.minimum(entries, (count - directory - 2) // 12)
            table = tf.reshape(tf.slice(values, [directory + 2], [12 * entries]), [-1, 12])

            def short(column: int) -> tf.Tensor:
                high, low = table[:, column], table[:, column + 1]
                return tf.where(big, high * 256 + low, low * 256 + high)

            found = tf.boolean_mask(short(8), tf.equal(short(0), _ORIENTATION_TAG) & tf.equal(short(2), 3))
            value = tf.concat([found, [1]], axis=0)[0]
            return tf.cast(tf.where((value >= 1) & (value <= 8), value, 1), tf.int32)

        inside = (directory >= 8) & (directory + 2 <= count)
        return tf.cond(inside, search, lambda: tf.constant(1))

    return tf.cond(count >= 8, read, lambda: tf.constant(1))
