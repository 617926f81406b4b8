"""Pictures for TensorBoard: what the recurrent model reads and reconstructs, where it looks and what it sees there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfvs.viz.palette import step_colour

_OVERVIEW_PX = 160


class SaccadePictures(keras.callbacks.Callback):
    """Writes proxies, reconstructions, saccades and crops of a few fixed images to TensorBoard after each epoch.

    Args:
      log_dir: TensorBoard's folder; events go to ``<log_dir>/pictures``.
      inputs: A batch of the model's inputs, N images; small.
      every_epochs: Pictures are written after every so many epochs.
    """

    def __init__(self, log_dir: str, inputs: Mapping[str, Any], *, every_epochs: int = 1) -> None:
        super().__init__()
        self._log_dir, self._inputs, self._every_epochs = log_dir, dict(inputs), every_epochs
        self._writer: tf.summary.SummaryWriter | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keras calls it."""
        if (epoch + 1) % self._every_epochs:
            return
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(f"{self._log_dir}/pictures")
        output = self.model(self._inputs, training=False)
        proxy = tf.cast(self._inputs["proxy"], tf.float32)
        count = proxy.shape[0]
        with self._writer.as_default(step=epoch):
            tf.summary.image("proxies", proxy, max_outputs=count)
            if output.reconstruction is not None:
                tf.summary.image("reconstructions", _side_by_side(output.reconstruction), max_outputs=count)
            tf.summary.image("saccades", draw_saccades(proxy, output.boxes), max_outputs=count)
            tf.summary.image("crops", _side_by_side(output.crops), max_outputs=count)
        self._writer.flush()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Keras calls it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def draw_saccades(proxy: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Draws frames around the places that a model looks at on its enlarged proxy, in the colours of the saccade sheets.

    Args:
      proxy: ``[B, h, w, c]`` float32 in [0, 1], c is 1 or 3.
      boxes: ``[B, T, 4]`` float32 ``[y0, x0, y1, x1]`` in [0, 1].

    Returns:
      ``[B, H, W, 3]`` float32 in [0, 1].
    """
    height, width = proxy.shape[1:3]
    factor = max(1, _OVERVIEW_PX // max(height, width))
    overview = tf.image.resize(_to_rgb(proxy), (height * factor, width * factor), method="nearest")
    colours = [_to_floats(step_colour(step)) for step in range(boxes.shape[1])]
    return tf.image.draw_bounding_boxes(overview, tf.cast(boxes, tf.float32), colours)


def _to_floats(colour: str) -> tuple[float, ...]:
    """``#RRGGBB`` as red, green and blue in [0, 1]."""
    return tuple(int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5))


def _to_rgb(pixels: tf.Tensor) -> tf.Tensor:
    return pixels if pixels.shape[-1] == 3 else tf.repeat(pixels[..., :1], 3, axis=-1)


def _side_by_side(steps: tf.Tensor) -> tf.Tensor:
    """``[B, T, h, w, c]`` → ``[B, h, T·w, c]`` with 1 or 3 channels, in [0, 1]."""
    pixels = tf.cast(steps, tf.float32)
    pixels = tf.clip_by_value(pixels if pixels.shape[-1] in (1, 3) else pixels[..., :1], 0.0, 1.0)
    shape = tf.shape(pixels)
    return tf.reshape(
        tf.transpose(pixels, [0, 2, 1, 3, 4]), [shape[0], shape[2], shape[1] * shape[3], pixels.shape[-1]]
    )
