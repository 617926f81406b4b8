"""The two sides of the headline: saccaders with random weights, and ResNet18 on a grid of crops in both its ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfvs.data.dataset import Inputs
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.grid_resnet import GridResNet18
from tfvs.models.image_classifier import ImageClassifier
from tfvs.models.pixels import IMAGE, PROXY
from tfvs.models.presets import PRESETS
from tfvs.models.saccader import VariationalSaccader

CLASSES = 55  # unordered pairs of digits
RECIPE = ProxyRecipe(height=32, width=32, channels=1)
# Names in the results, and the preset of each.
SACCADERS = {"paper": "paper", "default": "cpu"}


class BatchedGridResNet18(GridResNet18):
    """All crops of an image go through the network as one batch, and the backward pass keeps every activation."""

    def _sum_cells(self, image: tf.Tensor, cells: tf.Tensor, training: bool) -> tf.Tensor:
        size, count = self.crop_size, self.grid**2
        image = tf.stop_gradient(image)

        def cut(cell: tf.Tensor) -> tf.Tensor:
            return tf.slice(image, [0, cell[0], cell[1], 0], [-1, size, size, -1])

        crops = tf.map_fn(cut, cells, fn_output_signature=image.dtype)
        crops = tf.ensure_shape(crops, [count, image.shape[0], size, size, image.shape[-1]])
        outputs = self.crop_output(self.backbone(tf.reshape(crops, [-1, *crops.shape[2:]]), training=training))
        return tf.reduce_sum(tf.reshape(tf.cast(outputs, tf.float32), [count, -1, self.output_size]), axis=0)


RESNETS: dict[str, type[GridResNet18]] = {"resnet_batch": BatchedGridResNet18, "resnet_cells": GridResNet18}


def build(name: str, side: int, root: Path, grid: int, **fields: Any) -> ImageClassifier:
    """A model with random weights.

    Args:
      name: One of :data:`SACCADERS` or :data:`RESNETS`.
      side: Side of the image, pixels.
      root: Folder of the pyramids, for a saccader.
      grid: N, for ResNet18 on N² crops.
      **fields: Fields of a saccader's configuration that are changed.
    """
    if name in SACCADERS:
        config = PRESETS[SACCADERS[name]].replace(num_classes=CLASSES, pyramid_roots=(str(root),), **fields)
        model: ImageClassifier = VariationalSaccader(config)
    else:
        model = RESNETS[name](CLASSES, grid=grid)
    model.build({PROXY: (None, *RECIPE.shape), IMAGE: (None, side, side, 1)})
    return model


def count_flops(answer: Callable[[Inputs], tf.Tensor], inputs: Inputs) -> int:
    """Floating point operations of one call, two per multiplication and addition, as TensorFlow's profiler counts them.

    Args:
      answer: What is called.
      inputs: What it is given; every shape is known. The profiler counts no loop, and no operation that reads a file.
    """
    graph = tf.function(answer).get_concrete_function(inputs).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation()).with_empty_output()
    return int(profiler.profile(graph=graph, options=options.build()).total_float_ops)
