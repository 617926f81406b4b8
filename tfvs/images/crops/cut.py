"""Cutting crops out of decoded tiles."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfvs.images.crops.plan import TilePlan
from tfvs.ops.crop_rule import blend
from tfvs.ops.tiles import TileSpan

# From this side on a crop is cut out of a region in one piece; smaller ones are gathered, all at once.
LARGE_CROP = 96
PARALLEL_CUTS = 4
# Largest deviation of a crop's side from its number of samples, in pixels of the level, that counts as rounding.
SAME_PIXELS = 2e-4


def cut_crops(
    plan: TilePlan, pixels: tf.Tensor, slots: tf.Tensor, valid: tf.Tensor, bands: int, crop_size: int
) -> tf.Tensor:
    """Crops out of decoded tiles.

    Args:
      plan: Which tiles each crop needs.
      pixels: ``[M, P, h, w·C]`` uint8, as :func:`tfvs.images.crops.source.read_tiles` returns them.
      slots: ``[U]`` int32, as it returns them.
      valid: ``[B]`` bool; crops of the others are zeros.
      bands: Channels C.
      crop_size: Side S of the crops.

    Returns:
      ``[B, T, S, S, C]`` float32 in [0, 1], differentiable in the weights of ``plan.rows`` and ``plan.columns``.
    """
    batch, steps = tf.unstack(tf.shape(plan.tile_ids)[:2])
    tiles = _Tiles(plan, pixels, _slots_of_grids(plan, slots), valid, bands, crop_size)

    def gathered(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        return tiles.gather(rows, columns)

    @tf.custom_gradient
    def resampled(rows: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
        # The op's own gradient is zero where a sample hits a pixel's centre; that of eq. 7 is not.
        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch([rows, columns])
                crops = gathered(rows, columns)
            return tape.gradient(crops, [rows, columns], output_gradients=upstream)

        return tiles.resample(), gradient

    cut = resampled if crop_size >= LARGE_CROP else gathered
    flat = [tf.reshape(axis.weight, [batch * steps, 2, crop_size]) for axis in (plan.rows, plan.columns)]
    return tf.reshape(cut(*flat), [batch, steps, crop_size, crop_size, bands])


def _slots_of_grids(plan: TilePlan, slots: tf.Tensor) -> tf.Tensor:
    """Where each crop's tiles lie among the decoded ones, ``[B, T, GH, GW]``; 0 is the blank tile."""
    place = tf.searchsorted(plan.requested, tf.reshape(plan.tile_ids, [-1]))
    place = tf.reshape(tf.minimum(place, tf.maximum(tf.size(slots) - 1, 0)), tf.shape(plan.tile_ids))
    found = tf.gather(tf.concat([plan.requested, [-2]], 0), place) == plan.tile_ids
    return tf.maximum(tf.where(found, tf.gather(tf.concat([slots, [0]], 0), place), 0), 0)


class _Tiles:
    """Decoded tiles as lines of pixels, of which line 0 is blank, and N = B·T crops to be cut out of them."""

    def __init__(
        self, plan: TilePlan, pixels: tf.Tensor, slot: tf.Tensor, valid: tf.Tensor, bands: int, crop_size: int
    ) -> None:
        self.bands, self.crop_size = bands, crop_size
        self.planes, self.height, row_bytes = tf.unstack(tf.shape(pixels)[1:])
        self.width = row_bytes // bands
        self.lines = tf.reshape(pixels, [-1, row_bytes])
        self.count, self.grid = tf.shape(slot)[0] * tf.shape(slot)[1], tf.shape(slot)[2:]
        self.slot = tf.reshape(slot, [self.count, self.grid[0], self.grid[1]])
        self.deep = tf.repeat(plan.deep, tf.shape(slot)[1])
        self.shown = tf.repeat(tf.cast(valid, tf.float32), tf.shape(slot)[1])  # [N], 1 or 0
        self.tile_height, self.tile_width = tf.unstack(tf.reshape(plan.tile_size, [self.count, 2]), axis=1)  # [N]
        self.down, self.across = (
            TileSpan(*(tf.reshape(field, [self.count]) for field in span)) for span in (plan.down, plan.across)
        )
        self.rows, self.columns = plan.rows, plan.columns

    def gather(self, row_weights: tf.Tensor, column_weights: tf.Tensor) -> tf.Tensor:
        """Eq. 7 on the gathered neighbours of every sample: ``[N, S, S, C]``."""
        count, samples = self.count, self.crop_size
        column = tf.reshape(self.columns.index, [count, 2 * samples])
        tile_width = self.tile_width[:, tf.newaxis]
        # Clipped neighbours of weight 0 may lie outside the grid; any tile will do for them.
        grid_column = tf.clip_by_value(column // tile_width - self.across.first[:, tf.newaxis], 0, self.grid[1] - 1)
        across = grid_column * self.width + column % tile_width
        line = self._line(tf.reshape(self.rows.index, [count, 2 * samples]))

        def neighbours(plane: int) -> tf.Tensor:
            found = tf.gather(self.lines, line + plane * self.height)  # [N, 2·S, GW, w·C]
            found = tf.reshape(found, [count, 2 * samples, self.grid[1] * self.width, self.bands])
            around = tf.gather(found, across, axis=2, batch_dims=1)  # [N, 2·S, 2·S, C]
            return tf.reshape(around, [count, 2, samples, 2, samples, self.bands])

        def sample(plane: int, scale: tf.Tensor) -> tf.Tensor:
            # Grey levels become [0, 1] in the weights, which are far fewer than the pixels.
            weights = row_weights * (scale * self.shown)[:, tf.newaxis, tf.newaxis]
            return blend(neighbours(plane), weights, column_weights)

        # Sampling is linear: high and low bytes of 16-bit images are sampled each by itself.
        high = tf.where(self.deep, 256.0 / 65535.0, 1.0 / 255.0)
        low = tf.where(self.deep, 1.0 / 65535.0, 0.0)
        return tf.cond(self.planes == 2, lambda: sample(0, high) + sample(1, low), lambda: sample(0, high))

    def resample(self) -> tf.Tensor:
        """The same, crop by crop: its region as one small image, which an operation samples. Not differentiable."""
        # Rows of each region and one around it; those that carry no weight are blank.
        down, across = (span._replace(low=tf.where(span.high >= 0, span.low, 0)) for span in (self.down, self.across))
        top = down.low - 1
        tall = down.high - top + 2
        row = top[:, tf.newaxis] + tf.range(tf.reduce_max(tf.concat([tall, [2]], 0)))  # [N, H]
        weighs = (row >= down.low[:, tf.newaxis]) & (row <= down.high[:, tf.newaxis])
        line = tf.where(weighs[..., tf.newaxis], self._line(row), 0)  # [N, H, GW]
        # Columns as the tiles have them.
        left = across.first * self.tile_width
        wide = tf.maximum(across.count, 1)
        ends = tf.stack(
            [
                tf.reshape(axis.ends, [self.count, 2]) - tf.cast(start[:, tf.newaxis], tf.float32)
                for axis, start in ((self.rows, top), (self.columns, left))
            ],
            axis=-1,
        )  # [N, first and last, vertical and horizontal]
        low, high = across.low - left, across.high - left
        outermost = tf.sort(ends[..., 1], axis=1)
        # Where samples lie beyond the last column of weight, the columns there count as zero.
        crosses = (outermost[:, 0] < tf.cast(low, tf.float32)) | (outermost[:, 1] > tf.cast(high, tf.float32))
        scale = self.shown * tf.where(self.deep, 1.0 / 65535.0, tf.where(self.planes == 2, 1.0 / 65280.0, 1.0 / 255.0))
        # Samples that are one pixel apart share their weights, so that a crop is a sum of shifted pieces of its region.
        start = tf.reduce_mean(ends, axis=1) - (self.crop_size - 1) / 2  # [N, vertical and horizontal]
        first = tf.floor(start)
        sides = tf.cast(tf.stack([tall, wide * self.tile_width + 1], axis=-1), tf.float32)
        shifts = tf.abs(ends[:, 1] - ends[:, 0] - (self.crop_size - 1)) < SAME_PIXELS
        shifts &= (first >= 0.0) & (first + self.crop_size < sides)
        shifts = tf.reduce_all(shifts, axis=1) & ~crosses  # [N]
        corner, share = tf.cast(tf.where(shifts[:, tf.newaxis], first, 0.0), tf.int32), start - first

        def cut(crop: tf.Tensor) -> tf.Tensor:
            used = line[crop, : tall[crop], : wide[crop]]

            def region(plane: int) -> tf.Tensor:
                found = tf.gather(self.lines, used + plane * self.height)[..., : self.tile_width[crop] * self.bands]
                return tf.reshape(found, [tall[crop], wide[crop] * self.tile_width[crop], self.bands])

            def blanked(found: tf.Tensor) -> tf.Tensor:
                column = tf.range(tf.shape(found)[1])
                weighs = (column >= low[crop]) & (column <= high[crop])
                return tf.pad(found * tf.cast(weighs, found.dtype)[:, tf.newaxis], [[0, 0], [1, 1], [0, 0]])

            def shift(found: tf.Tensor) -> tf.Tensor:
                found = tf.pad(found, [[0, 0], [0, 1], [0, 0]])
                begin, side = tf.concat([corner[crop], [0]], axis=0), self.crop_size + 1
                found = tf.slice(found, begin, [side, side, self.bands])
                down, across = tf.unstack(share[crop])
                width = self.crop_size * self.bands
                found = tf.cast(tf.reshape(found, [side, side * self.bands]), tf.float32)
                found = found[:-1] * (1.0 - down) + found[1:] * down
                found = found[:, :width] * (1.0 - across) + found[:, self.bands :] * across
                return tf.reshape(found, [self.crop_size, self.crop_size, self.bands])

            def resize(found: tf.Tensor) -> tf.Tensor:
                found = tf.cond(crosses[crop], lambda: blanked(found), lambda: found)
                place = ends[crop] + tf.where(crosses[crop], [0.0, 1.0], [0.0, 0.0])
                box = tf.reshape(place / tf.cast(tf.shape(found)[:2] - 1, tf.float32), [1, 4])
                size = [self.crop_size, self.crop_size]
                return tf.image.crop_and_resize(found[tf.newaxis], box, [0], size)[0]

            def sample(found: tf.Tensor) -> tf.Tensor:
                return tf.cond(shifts[crop], lambda: shift(found), lambda: resize(found))

            sampled = tf.cond(
                self.planes == 2,
                lambda: sample(tf.cast(region(0), tf.uint16) * 256 + tf.cast(region(1), tf.uint16)),
                lambda: sample(region(0)),
            )
            return sampled * scale[crop]

        return tf.map_fn(
            cut,
            tf.range(self.count),
            fn_output_signature=tf.TensorSpec([self.crop_size, self.crop_size, self.bands], tf.float32),
            parallel_iterations=None if tf.executing_eagerly() else PARALLEL_CUTS,
        )

    def _line(self, row: tf.Tensor) -> tf.Tensor:
        """``[N, R, GW]`` lines of the tiles that hold rows ``[N, R]`` of the crops' levels."""
        tile_height = self.tile_height[:, tf.newaxis]
        grid_row = tf.clip_by_value(row // tile_height - self.down.first[:, tf.newaxis], 0, self.grid[0] - 1)
        slot = tf.gather(self.slot, grid_row, batch_dims=1)
        return slot * self.planes * self.height + (row % tile_height)[..., tf.newaxis]
