"""Reading and decoding the tiles of a whole batch in the graph, with nothing but TensorFlow's stock operations.

One ``tf.data`` pipeline inside the function reads every run of neighbouring tiles at its offset and decodes the tiles
in parallel. Each tile is kept with its number, so that one which fails to read, to check or to decode is known and
makes only its own image invalid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfvs.ops.checksums import require_crc32

# Frames around each tile, bytes: 12 before, 4 behind.
FRAME_BYTES = 16
PARALLEL_READS = 2
PARALLEL_DECODES = 4
# Pixels around a window that JPEG decodes too: subsampled chroma is interpolated from neighbours.
JPEG_CONTEXT_PX = 16
JPEG_BANDS = (1, 3)
COMPRESSIONS = ("none", "deflate", "deflate_predictor", "jpeg")
DTYPES = ("uint8", "uint16", "uint16_be")


class TileRequests(NamedTuple):
    """The tiles of a batch, each once, ordered by image and by number: what reading and decoding them takes.

    Attributes:
      image: ``[U]`` int32, the tile's image in the batch.
      offset: ``[U]`` int64, where its record begins.
      length: ``[U]`` int64, bytes of the tile.
      height: ``[U]`` int32, pixels.
      width: ``[U]`` int32, pixels.
      largest: ``[2]`` int32, height and width of the largest tile that any crop lies on, requested or left out.
      window: ``[U, 4]`` int32, the first row and column and the last row and column that are needed.
      framed: ``[U]`` bool.
      compression: ``[U]`` int32, index into COMPRESSIONS.
      dtype: ``[U]`` int32, index into DTYPES.
      paths: ``[B]`` string, per image.
      file_bytes: ``[B]`` int64, per image.
      file_crc32: ``[B]`` int64, per image: of a file without frames, 0 where not known.
      jpeg_head: ``[B]`` string, per image: what replaces the first two bytes of a JPEG tile.
    """

    image: tf.Tensor
    offset: tf.Tensor
    length: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    largest: tf.Tensor
    window: tf.Tensor
    framed: tf.Tensor
    compression: tf.Tensor
    dtype: tf.Tensor
    paths: tf.Tensor
    file_bytes: tf.Tensor
    file_crc32: tf.Tensor
    jpeg_head: tf.Tensor


def read_tiles(requests: TileRequests, bands: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads and decodes tiles.

    Args:
      requests: The tiles.
      bands: Channels C of every image.

    Returns:
      Pixels ``[M, P, h, w·C]`` uint8: tile 0 is all zeros, P is 2 (high and low bytes) where any image has 16 bits,
      else 1, h and w are ``requests.largest``; what lies outside a tile's window may be zero. And ``[U]`` int32, the
      place of each requested tile among them, -1 where it could not be read.
    """
    number = tf.size(requests.image)
    deep = tf.reduce_any(requests.dtype > 0)
    planes = tf.where(deep, 2, 1)
    height, width = requests.largest[0], requests.largest[1]
    shape = tf.stack([planes, height, width * bands])

    def decode(place: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels, corner = _decode(requests, place, record, planes, bands)
        missing = shape - tf.shape(pixels)
        padded = tf.cond(
            tf.reduce_all(missing == 0),
            lambda: pixels,
            lambda: tf.pad(pixels, tf.stack([corner, missing - corner], 1)),
        )
        return place, tf.ensure_shape(padded, [None, None, None])

    records = _framed_records(requests).concatenate(_foreign_records(requests))
    tiles = records.map(decode, num_parallel_calls=PARALLEL_DECODES, deterministic=False).ignore_errors()
    blank = tf.data.Dataset.from_tensors((tf.constant(-1, tf.int64), tf.zeros(shape, tf.uint8)))
    batch = blank.concatenate(tiles).batch(tf.cast(number, tf.int64) + 1)
    options = tf.data.Options()  # rewriting so small a graph costs more than it saves
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    places, pixels = batch.with_options(options).get_single_element()
    slots = tf.tensor_scatter_nd_update(
        tf.fill([number + 1], -1), (places + 1)[:, tf.newaxis], tf.range(tf.size(places))
    )
    return pixels, slots[1:]


def _framed_records(requests: TileRequests) -> tf.data.Dataset:
    """Elements (place, tile): one read for every run of records that follow one another."""
    image, offset, length = requests.image, requests.offset, requests.length
    follows = (
        requests.framed[1:]
        & requests.framed[:-1]
        & (image[1:] == image[:-1])
        & (offset[1:] == offset[:-1] + length[:-1] + FRAME_BYTES)
    )
    begins = tf.concat([requests.framed[:1], ~follows], 0)
    first = tf.where(begins)[:, 0]
    count = tf.concat([first[1:], tf.size(image, tf.int64)[tf.newaxis]], 0) - first
    keep = tf.gather(requests.framed, first)
    first, count = tf.boolean_mask(first, keep), tf.boolean_mask(count, keep)
    paths = tf.gather(requests.paths, tf.gather(image, first))

    def read_run(path: tf.Tensor, start: tf.Tensor, place: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=path[tf.newaxis],
            compression_type="",
            buffer_size=tf.constant(0, tf.int64),
            byte_offsets=start[tf.newaxis],
            metadata="",
        )
        records = tf.data.experimental.from_variant(records, tf.TensorSpec([], tf.string))
        return place, records.take(number).batch(number, drop_remainder=True).get_single_element()

    runs = tf.data.Dataset.from_tensor_slices((paths, tf.gather(offset, first), first, count))
    return _contained(runs, read_run)


def _contained(runs: tf.data.Dataset, read: Callable[..., tuple[tf.Tensor, tf.Tensor]]) -> tf.data.Dataset:
    """Elements (place, tile) of every run; a run that cannot be read is left out, and with it its tiles."""

    # An error inside flat_map would be met again and again; inside map it costs that one element.
    def spread(place: tf.Tensor, tiles: tf.Tensor) -> tf.data.Dataset:
        places = tf.data.Dataset.range(place, place + tf.size(tiles, tf.int64))
        return tf.data.Dataset.zip((places, tf.data.Dataset.from_tensor_slices(tiles)))

    return runs.map(read, num_parallel_calls=PARALLEL_READS, deterministic=False).ignore_errors().flat_map(spread)


def _foreign_records(requests: TileRequests) -> tf.data.Dataset:
    """Elements (place, tile) of small files without frames, each read whole and once."""
    wanted = tf.where(~requests.framed)[:, 0]
    image = tf.gather(requests.image, wanted)
    images, _, count = tf.unique_with_counts(image, tf.int64)
    first = tf.gather(wanted, tf.cumsum(count, exclusive=True))

    def read_file(
        path: tf.Tensor, file_bytes: tf.Tensor, crc32: tf.Tensor, place: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        # One record as long as the file should be: a file of another size is an error, and so is another checksum.
        whole = tf.raw_ops.FixedLengthRecordDatasetV2(
            filenames=path[tf.newaxis],
            header_bytes=tf.constant(0, tf.int64),
            record_bytes=file_bytes,
            footer_bytes=tf.constant(0, tf.int64),
            buffer_size=tf.constant(0, tf.int64),
            compression_type="",
        )
        data = tf.data.experimental.from_variant(whole, tf.TensorSpec([], tf.string)).get_single_element()
        data = tf.cond(crc32 > 0, lambda: require_crc32(data, crc32), lambda: data)
        places = tf.range(place, place + number)
        starts = tf.cast(tf.gather(requests.offset, places), tf.int32)
        lengths = tf.cast(tf.gather(requests.length, places), tf.int32)
        tiles = tf.map_fn(
            lambda tile: tf.strings.substr(data, tile[0], tile[1]), (starts, lengths), fn_output_signature=tf.string
        )
        return place, tiles

    about = (requests.paths, requests.file_bytes, requests.file_crc32)
    files = tf.data.Dataset.from_tensor_slices((*(tf.gather(field, images) for field in about), first, count))
    return _contained(files, read_file)


def _decode(
    requests: TileRequests, place: tf.Tensor, record: tf.Tensor, planes: tf.Tensor, bands: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """One tile, or the part of it that is needed, as ``[P, h, w·C]`` uint8, and where in the tile that part begins.

    Raises if the tile is not what the index says.
    """
    image = requests.image[place]
    height, width, dtype = requests.height[place], requests.width[place], requests.dtype[place]
    length = tf.strings.length(record)
    with tf.control_dependencies(
        [tf.debugging.assert_equal(tf.cast(length, tf.int64), requests.length[place], "tile of another length")]
    ):
        record = tf.identity(record)

    def jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        stream = tf.strings.join([requests.jpeg_head[image], tf.strings.substr(record, 2, length)])
        # A window bounds the memory whatever size the stream claims, and leaves most of the work undone.
        window = requests.window[place]
        near = tf.maximum(window[:2] - JPEG_CONTEXT_PX, 0)
        far = tf.minimum(window[2:] + 1 + JPEG_CONTEXT_PX, tf.stack([height, width]))
        pixels = tf.io.decode_and_crop_jpeg(
            stream, tf.concat([near, far - near], 0), channels=bands, dct_method="INTEGER_ACCURATE"
        )
        part = tf.shape(pixels)
        return tf.reshape(pixels, [1, part[0], part[1] * bands]), tf.stack([0, near[0], near[1] * bands])

    def raw(data: tf.Tensor, predictor: bool) -> tuple[tf.Tensor, tf.Tensor]:
        samples = tf.io.decode_raw(data, tf.uint8)
        whole = tf.cond(
            dtype == 0,
            lambda: _samples_8(samples, height, width, bands, predictor),
            lambda: _samples_16(samples, height, width, bands, predictor, dtype == 2),
        )
        return whole, tf.zeros([3], tf.int32)

    decoders = [
        lambda: raw(record, False),
        lambda: raw(tf.io.decode_compressed(record, "ZLIB"), False),
        lambda: raw(tf.io.decode_compressed(record, "ZLIB"), True),
    ]
    if bands in JPEG_BANDS:
        decoders.append(jpeg)
    pixels, corner = tf.switch_case(requests.compression[place], decoders)
    return tf.ensure_shape(pixels, [None, None, None]), corner


def _samples_8(samples: tf.Tensor, height: tf.Tensor, width: tf.Tensor, bands: int, predictor: bool) -> tf.Tensor:
    if predictor:
        samples = tf.cumsum(tf.reshape(samples, [height, width, bands]), axis=1)
    return tf.reshape(samples, [1, height, width * bands])


def _samples_16(
    samples: tf.Tensor, height: tf.Tensor, width: tf.Tensor, bands: int, predictor: bool, big_endian: tf.Tensor
) -> tf.Tensor:
    pairs = tf.reshape(samples, [height, width * bands, 2])
    low, high = tf.unstack(tf.where(big_endian, pairs[..., ::-1], pairs), axis=-1)
    if predictor:
        values = tf.cast(high, tf.int32) * 256 + tf.cast(low, tf.int32)
        values = tf.cumsum(tf.reshape(values, [height, width, bands]), axis=1)
        values = tf.reshape(values, [height, width * bands])
        high, low = tf.cast(values // 256 % 256, tf.uint8), tf.cast(values % 256, tf.uint8)
    return tf.stack([high, low])
