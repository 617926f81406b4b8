"""The Trainer that pastes signs, on photographs that are made here: two stages, and going on where it stopped."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("apache_beam")

from pipelines.config import PYRAMIDS, PipelineConfig
from pipelines.modules.speed_limits import fit_with_signs
from pipelines.preflight import prepare_options, saccader_config
from tfvs.data.dataset import find_files
from tfvs.datasets.gtsdb_cut_outs import make_bank
from tfvs.errors import ConfigError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import Job
from tfvs.preparation.local import run_local
from tfvs.preparation.readers import make_reader
from tfvs.training.stages import fit_stages, read_then_look
from tfvs.training.trainer import TrainConfig
from tfvs.viz.curves import read_history

pytestmark = pytest.mark.tfx
CELLS = (6, 8)
CONFIG = PipelineConfig(
    name="speed_limits",
    data="data",
    reader="gtsdb",
    class_names=("none", "20", "50"),
    proxy=ProxyRecipe(height=24, width=32, channels=3),
    image_bands=3,
    tile_size=32,
    model={
        "num_steps": 3, "crop_size": 24, "min_scale": 0.25, "max_scale": 0.25, "posterior": "categorical",
        "cells": CELLS, "inhibition_cells": 0, "learns_offset": False, "look_pooling": "seen", "map_filters": (4,),
        "map_kernels": (3,), "crop_filters": (4, 8), "crop_strides": (2, 2), "crop_units": 8, "state_size": 4,
        "encoder_units": 4, "prior_units": 4, "posterior_units": 4, "latent_units": 4, "reconstruction_weight": 0.0,
    },
    train={"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "group_rates": {"classifier": 0.5}},
    trainer="pipelines.modules.speed_limits",
)  # fmt: skip


def photographs(folder: Path, config: PipelineConfig) -> None:
    """Eight to train on, of which the first two have a sign, and two more."""
    random = np.random.default_rng(3)
    data = Path(config.data)
    data.mkdir()
    for number in (*range(8), 420, 480):
        Image.fromarray(random.integers(0, 90, (96, 128, 3), dtype=np.uint8)).save(data / f"{number:05d}.ppm")
    (data / "gt.txt").write_text("00000.ppm;40;50;59;69;0\n00001.ppm;8;10;31;33;2\n")
    job = Job(
        reader=make_reader("gtsdb", config.data, config.class_names),
        options=prepare_options(config).replace(decoder="direct"),
        records_root=str(folder / "records"),
        pyramid_root=config.location(PYRAMIDS),
        num_shards=1,
    )
    run_local(job)


@pytest.mark.slow
def test_two_stages_and_going_on(tmp_path: Path) -> None:
    config = CONFIG.replace(data=str(tmp_path / "data"), runs_root=str(tmp_path / "runs"))
    photographs(tmp_path, config)
    train, evaluation = ([str(tmp_path / "records" / f"Split-{split}" / "*")] for split in ("train", "eval"))
    lines: list[str] = []
    model, _ = fit_with_signs(config, train, evaluation, folder=str(tmp_path / "fit"), write=lines.append)
    assert [line.split()[0] for line in lines] == ["read:", "look:"]
    assert "val_accuracy" in lines[1]
    assert (model.config.num_steps, model.config.looks_from_prior) == (3, False)
    (loss,) = (curve for curve in read_history(tmp_path / "fit" / "logs") if curve.name == "loss")
    assert np.isfinite(loss.train).all()
    again = fit_stages(  # nothing is left to train
        saccader_config(config),
        read_then_look(saccader_config(config), TrainConfig.from_dict(config.train)),
        files=find_files(train),
        proxy=config.proxy,
        bank=make_bank(Path(config.data), [f"{number:05d}" for number in range(8)], config.class_names),
        folder=str(tmp_path / "fit"),
        write=lines.append,
    )
    assert [line for line in lines if "resuming" not in line] == lines[:2]
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_without_cells(tmp_path: Path) -> None:
    config = CONFIG.replace(data=str(tmp_path), runs_root=str(tmp_path))
    config = PipelineConfig.from_dict({**config.to_dict(), "model": {"num_steps": 2}})
    with pytest.raises(ConfigError, match="cells"):
        fit_with_signs(config, [], [], folder=str(tmp_path), write=print)
