"""The saccader of the benchmark on street photographs, and how it learns."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

from benchmarks.accuracy import Stopwatch
from benchmarks.speed_limits_data import PROXY, image_ids, make_bank, record_files
from tfvs.backbones import EncoderConfig
from tfvs.data.dataset import evaluation_dataset
from tfvs.data.pasting import FieldConfig, PastedBatches
from tfvs.datasets.gtsdb import HEIGHT_PX, SPEED_LIMITS
from tfvs.images.cut_outs import PasteConfig
from tfvs.models.saccader import VariationalSaccader
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.training.trainer import TrainConfig, train

CELLS = (50, 85)
CROP_PX = 64
LEARNING_RATE = 3e-3


class Stage(NamedTuple):
    """A part of training."""

    name: str
    steps: int
    batch_size: int
    group_rates: dict[str, float]


# One look at a small field around a pasted sign: what reads the crops learns.
READ = Stage("read", 400, 48, {})
# The field grows: where to look is learned too, and pretrained weights move less.
LOOK = Stage("look", 500, 16, {"classifier": 1 / 3})
STEPS_PER_EPOCH = 50

SACCADER = SaccaderConfig(
    num_classes=len(SPEED_LIMITS),
    num_steps=8,
    crop_size=CROP_PX,
    min_scale=CROP_PX / HEIGHT_PX,
    max_scale=CROP_PX / HEIGHT_PX,
    posterior="categorical",
    cells=CELLS,
    inhibition_cells=1,
    learns_offset=False,
    posterior_stddev=0.3,
    map_filters=(24, 24),
    map_kernels=(5, 3),
    map_normalization="batch",
    map_reads_pixels=False,
    map_reads_place=True,
    proxy_features=EncoderConfig(
        network="efficientnet_lite0", blocks=5, feature_maps=("block_2", "block_4"), trainable=False, gain=0.1
    ),
    crop_encoder=EncoderConfig(network="efficientnet_lite0", blocks=8, gain=0.1),
    standardize_crops=True,
    crop_dropout=0.2,
    crop_units=64,
    look_pooling="seen",
    state_size=16,
    initial_state_noise=0.0,
    encoder_units=16,
    prior_units=16,
    posterior_units=16,
    latent_units=8,
    reconstruction_weight=0.0,
)


def build(config: SaccaderConfig) -> VariationalSaccader:
    """A saccader for the benchmark's photographs, with its weights made."""
    model = VariationalSaccader(config)
    model.build({"proxy": (None, *PROXY.shape), "image": (None, None, None, 3)})
    return model


def fit(
    data: Path,
    prepared: Path,
    folder: Path,
    *,
    config: SaccaderConfig = SACCADER,
    seed: int = 0,
    read_steps: int = READ.steps,
    look_steps: int = LOOK.steps,
) -> tuple[VariationalSaccader, float]:
    """Trains in two stages, or goes on where training stopped.

    Args:
      data: GTSDB.
      prepared: Records and pyramids of it.
      folder: Gets checkpoints and logs.
      config: Of the model.
      seed: Of weights, pastes and samples.
      read_steps: Of the first stage.
      look_steps: Of the second stage.

    Returns:
      The model, and the processor's minutes in all.
    """
    keras.utils.set_random_seed(seed)
    files = record_files(prepared / "records", ("train",))
    bank = make_bank(data, image_ids(files))
    config = config.replace(pyramid_roots=(str(prepared / "pyramids"),))
    folder.mkdir(parents=True, exist_ok=True)
    stopwatch = Stopwatch(folder / "cpu_minutes.txt", float("inf"))
    model = build(config.replace(num_steps=1, looks_from_prior=True))
    near = FieldConfig(cells=CELLS, start_cells=3, grow_steps=0)
    grows = FieldConfig(cells=CELLS, start_cells=9, hold_steps=60, grow_steps=min(300, look_steps // 3))
    for stage, field, steps in ((READ, near, read_steps), (LOOK, grows, look_steps)):
        if stage is LOOK:
            model = model.adapted(num_steps=config.num_steps, looks_from_prior=config.looks_from_prior)
        batches = PastedBatches(files, PROXY, bank, PasteConfig(), field, stage.batch_size, seed)
        options = TrainConfig(
            epochs=max(steps // STEPS_PER_EPOCH, 1),
            batch_size=stage.batch_size,
            learning_rate=LEARNING_RATE,
            warmup_steps=50,
            clip_norm=5.0,
            group_rates=stage.group_rates,
            seed=seed,
        )

        def make(epoch: int, batches: PastedBatches = batches, epochs: int = options.epochs) -> tf.data.Dataset:
            return batches.dataset(epoch * STEPS_PER_EPOCH, epochs * STEPS_PER_EPOCH)

        def write(line: str, name: str = stage.name) -> None:
            print(f"{name}: {line}", flush=True)

        train(
            model,
            make,
            options,
            steps_per_epoch=STEPS_PER_EPOCH,
            checkpoint_dir=str(folder / stage.name / "checkpoints"),
            log_dir=str(folder / stage.name / "logs"),
            callbacks=[stopwatch],
            write=write,
        )
    return model, stopwatch.minutes


def photographs(files: list[str], batch_size: int = 12) -> tf.data.Dataset:
    """Photographs to evaluate, in order, in whole batches; padding has weight 0."""
    return evaluation_dataset(files, PROXY, batch_size=batch_size)
