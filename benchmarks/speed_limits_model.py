"""The saccader of the benchmark on street photographs, its baselines, and how they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from benchmarks.accuracy import Stopwatch
from benchmarks.speed_limits_data import Prepared, proxy_recipe
from pipelines.speed_limits import DEFAULT
from tfvs.backbones.encoder import EncoderConfig, make_encoder
from tfvs.data.pasting import FieldConfig
from tfvs.datasets.gtsdb_cut_outs import PASTES, make_bank
from tfvs.layers.dense_block import DenseBlock
from tfvs.models.image_classifier import ImageClassifier, Shapes
from tfvs.models.resnet import ClassifierOutput
from tfvs.models.saccader import VariationalSaccader
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.training.reading import looking_stage
from tfvs.training.stages import Stage, fit_stage, fit_stages, read_then_look
from tfvs.training.trainer import TrainConfig

SACCADER = SaccaderConfig.from_dict({**DEFAULT.model, "num_classes": len(DEFAULT.class_names)})
TRAINING = TrainConfig.from_dict(DEFAULT.train)
SACCADERS: dict[str, dict[str, Any]] = {"saccader": {}, "attention": {"place_gradient": "attention"}}
# Proxies that each method reads; for those that are no saccader they are all that is read.
PROXIES = {
    **dict.fromkeys(SACCADERS, DEFAULT.proxy),
    "whole": proxy_recipe(1),
    "half": proxy_recipe(2),
    "proxy": DEFAULT.proxy,
}


class WholePhotograph(ImageClassifier):
    """The saccader's crop network over all of a photograph: the maximum over all places, then its head.

    Nothing is enlarged before it is read, as the saccader's crops may be: four times the pixels of all of a photograph
    take more memory and time than any comparison allows.

    Args:
      encoder: The crop network.
      num_classes: K.
    """

    def __init__(self, encoder: EncoderConfig, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = make_encoder(encoder.replace(enlargement=1), name="crop_encoder", pooling="max")
        self.dropout = keras.layers.Dropout(SACCADER.crop_dropout, name="dropout")
        self.hidden = DenseBlock(SACCADER.crop_units, SACCADER.normalization, name="hidden")
        self.logits = keras.layers.Dense(num_classes, name="logits")

    def build_parts(self, shapes: Shapes) -> None:
        """Args: shapes: Shape of each input."""
        self.encoder.build(shapes["proxy"])
        width = self.encoder.compute_output_shape(shapes["proxy"])[-1]
        self.hidden.build((None, width))
        self.logits.build((None, SACCADER.crop_units))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> ClassifierOutput:
        """Classifies ``inputs["proxy"] [B, h, w, 3]`` in [0, 1]: the photograph in the size that it is read in."""
        x = self.dropout(self.encoder(inputs["proxy"], training=training), training=training)
        return ClassifierOutput(self.logits(self.hidden(x, training=training)))


def fit_saccader(
    method: str,
    photographs: Prepared,
    folder: Path,
    train_config: TrainConfig,
    validation: Prepared,
) -> tuple[VariationalSaccader, float]:
    """Trains a saccader in two stages, or goes on where training stopped.

    Args:
      method: One of ``SACCADERS``.
      photographs: To train on.
      folder: Gets checkpoints and logs.
      train_config: See :func:`tfvs.training.stages.read_then_look`.
      validation: Evaluated after each epoch of the second stage.

    Returns:
      The model, and the processor's minutes in all.
    """
    config = SACCADER.replace(pyramid_roots=photographs.pyramid_roots, **SACCADERS[method])
    stopwatch = _stopwatch(folder)
    given = _given(photographs, folder, validation, stopwatch)
    model = fit_stages(config, read_then_look(config, train_config), **given)
    return model, stopwatch.minutes


def fit_whole(
    photographs: Prepared, folder: Path, train_config: TrainConfig, validation: Prepared
) -> tuple[WholePhotograph, float]:
    """Trains a network that reads whole photographs on the same pasted scenes; see :func:`fit_saccader`."""
    keras.utils.set_random_seed(train_config.seed)
    if SACCADER.crop_encoder is None or SACCADER.cells is None:
        raise ValueError("The preset names no network for crops, or no cells.")
    model = WholePhotograph(SACCADER.crop_encoder, SACCADER.num_classes)
    model.build({"proxy": (None, *photographs.proxy.shape)})
    stopwatch = _stopwatch(folder)
    everything = FieldConfig(cells=SACCADER.cells, start_cells=max(SACCADER.cells), grow_steps=0)
    train_config = looking_stage(train_config).replace(learning_rate=1e-3, group_rates={})
    fit_stage(model, Stage("whole", train_config, everything), **_given(photographs, folder, validation, stopwatch))
    return model, stopwatch.minutes


def _given(photographs: Prepared, folder: Path, validation: Prepared, stopwatch: Stopwatch) -> dict[str, Any]:
    """What every training is given: scenes, signs to paste, where it is kept, and who watches."""
    return {
        "files": photographs.files,
        "proxy": photographs.proxy,
        "bank": make_bank(photographs.data, photographs.ids),
        "pastes": PASTES,
        "folder": str(folder),
        "validation_data": validation.batches(),
        "callbacks": [stopwatch],
        "write": _print,
    }


def _stopwatch(folder: Path) -> Stopwatch:
    folder.mkdir(parents=True, exist_ok=True)
    return Stopwatch(folder / "cpu_minutes.txt", float("inf"))


def _print(line: str) -> None:
    print(line, flush=True)
