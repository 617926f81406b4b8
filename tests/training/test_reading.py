"""Reading before looking, as a stage of its own."""

import numpy as np
import pytest

from tests.models.conftest import SMALL
from tests.training.test_trainer import BATCH, STEPS, make_dataset, make_model
from tfvs.errors import ConfigError
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.reading import read_first
from tfvs.training.trainer import TrainConfig, train

CONFIG = TrainConfig(epochs=2, batch_size=BATCH, reading_epochs=1, reading_looks=3, average_weights=0.5)


def make_places() -> VariationalSaccader:
    places = {
        "posterior": "categorical",
        "cells": (4, 4),
        "inhibition_cells": 0,
        "learns_offset": False,
        "look_pooling": "evidence",
    }
    model = VariationalSaccader(
        **{**SMALL, **places, "num_steps": 2, "crop_normalization": "batch", "reconstruction_weight": 0.0}
    )
    model.build({"image": (None, 24, 32, 1), "proxy": (None, 8, 8, 1)})
    return model


def test_only_what_reads_the_looks_learns_before(tmp_path) -> None:
    stages = []

    def fit(model, stage, folder):
        before = {weight.path: np.array(weight) for weight in model.trainable_weights}
        history = train(
            model, make_dataset, stage, steps_per_epoch=STEPS,
            checkpoint_dir=f"{folder}/checkpoints", log_dir=f"{folder}/logs", write=lambda _: None,
        )  # fmt: skip
        moved = {path.split("/")[1] for path, old in before.items() if not np.array_equal(old, weight_of(model, path))}
        stages.append((model, stage, folder, before, moved))
        return history

    model, history = read_first(make_places(), CONFIG, str(tmp_path), fit)
    (reader, reads, first, _, moved), (last, looks, second, start, moved_last) = stages
    assert (reader.config.looks_from_prior, reader.config.num_steps, reads.epochs) == (True, 3, 1)
    assert (reads.average_weights, looks.average_weights) == (None, 0.5)
    assert (last.config.looks_from_prior, last.config.num_steps, looks.epochs) == (False, 2, 2)
    assert (first, second) == (str(tmp_path / "read"), str(tmp_path))
    assert model is last
    assert len(history) == 2
    assert "classifier" in moved
    assert not moved & {"encoder", "vrnn"}
    assert "encoder" in moved_last
    for path, value in start.items():  # the second stage goes on from the first one's weights
        np.testing.assert_array_equal(value, weight_of(reader, path), err_msg=path)


def weight_of(model: VariationalSaccader, path: str) -> np.ndarray:
    inside = path.split("/", 1)[1]
    return next(np.array(weight) for weight in model.weights if weight.path.split("/", 1)[1] == inside)


def test_without_reading_epochs_there_is_one_stage(tmp_path) -> None:
    model, found = make_model(), []
    trained, _ = read_first(model, CONFIG.replace(reading_epochs=0), str(tmp_path), lambda *given: found.append(given))
    assert trained is model
    assert [(config.epochs, folder) for _, config, folder in found] == [(2, str(tmp_path))]


def test_a_model_without_a_prior_over_cells_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="looks_from_prior"):
        read_first(make_model(), CONFIG, str(tmp_path), lambda *_: None)


def test_one_call_of_train_is_one_stage(tmp_path) -> None:
    with pytest.raises(ConfigError, match="reading_epochs"):
        train(
            make_model(),
            make_dataset,
            CONFIG,
            steps_per_epoch=STEPS,
            checkpoint_dir=str(tmp_path),
            log_dir=str(tmp_path),
        )
