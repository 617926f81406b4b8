"""In Keras the same rule chooses as in ``tfvs train``, from the headers of raw images."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import tfvs
from tfvs.datasets.sign_photographs import SignConfig, write
from tfvs.errors import ConfigError, DataError
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader
from tfvs.training.callbacks import ZoomSchedule
from tfvs.training.own_folder import read_facts
from tfvs.training.plan import make_plan


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(
        tmp_path_factory.mktemp("own") / "photos", SignConfig(width=240, height=160, sign_px=20), {"train": 40}
    )
    for path in sorted((folder / "80").iterdir())[3:]:
        path.unlink()
    return folder


def test_the_plan_is_that_of_the_same_facts(photos: Path) -> None:
    facts = read_facts(make_reader("auto", str(photos)), 20, PrepareOptions(bands=3), {"train": 1})
    assert (facts.counts.tolist(), facts.kinds, facts.height, facts.width) == ([14, 13, 3], [(3, "uint8")], 160, 240)
    plan, whole = tfvs.plan_from_directory(photos, object_px=20), make_plan(facts)
    assert (plan.model, plan.train, plan.proxy) == (whole.model, whole.train, whole.proxy)
    assert plan.model.posterior == "categorical"
    assert "where at first" in str(plan)
    assert "warning: Too few images to learn from: 80 (3)" in str(plan)
    kept = tfvs.plan_from_directory(photos, object_px=20, validation_split=0.2)
    assert kept.counts == (11, 10, 2)
    assert "no split" not in str(kept)


def test_fit_gets_as_many_steps_class_weights_and_a_zoom(photos: Path) -> None:
    plan = tfvs.plan_from_directory(photos, pretrained=False)
    options = plan.fit_options()
    steps = options["epochs"] * math.ceil(30 / plan.train.batch_size)
    assert steps >= plan.train.epochs * plan.train.steps_per_epoch > steps - math.ceil(30 / plan.train.batch_size)
    assert options["class_weight"] == pytest.approx({0: 30 / 3 / 14, 1: 30 / 3 / 13, 2: 30 / 3 / 3})
    (zoom,) = options["callbacks"]
    assert isinstance(zoom, ZoomSchedule)
    assert (zoom.start_scale, zoom.stop_step) == (plan.model.max_scale, math.ceil(0.6 * steps))
    rate = plan.optimizer()._learning_rate
    assert float(rate(steps)) == pytest.approx(0.0, abs=1e-6)
    assert float(rate(steps // 4)) > plan.train.learning_rate / 2


def test_colour_and_depth_are_those_that_the_data_set_is_made_with(photos: Path, tmp_path: Path) -> None:
    grey = tfvs.plan_from_directory(photos, object_px=20, color_mode="grayscale")
    assert (grey.proxy.channels, grey.model.place_prior, grey.model.crop_encoder) == (1, "contrast", None)
    for number in range(6):
        path = tmp_path / "deep" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full([40, 60], 300 * number, np.uint16)).save(path)
    for compression, kind in (("deflate", "uint16"), ("jpeg", "uint8")):  # JPEG has 8 bits
        options = PrepareOptions(bands=3, compression=compression)
        assert read_facts(make_reader("auto", str(tmp_path / "deep")), None, options, {"train": 1}).kinds == [(3, kind)]
    for wrong in ({"color_mode": "cmyk"}, {"compresion": "jpeg"}, {"changes": {"train.epoch": 3}}):
        with pytest.raises(ConfigError):
            tfvs.plan_from_directory(photos, **wrong)
    with pytest.raises(DataError):
        tfvs.plan_from_directory(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_ten_lines_with_a_plan(photos: Path, tmp_path: Path) -> None:
    plan = tfvs.plan_from_directory(photos, object_px=20, validation_split=0.2, pretrained=False)
    short = dataclasses.replace(plan, train=plan.train.replace(epochs=1, steps_per_epoch=2))
    train, val = tfvs.datasets.image_dataset_from_directory(
        photos, proxy_size=plan.proxy_size, batch_size=plan.train.batch_size, validation_split=0.2, seed=1,
        cache_dir=str(tmp_path / "cache"),
    )  # fmt: skip
    encoder = keras.applications.MobileNetV3Small(
        include_top=False, pooling="avg", weights=None, input_shape=(None, None, 3)
    )
    model = tfvs.VariationalSaccader(plan.model, crop_encoder=encoder)
    model.compile(optimizer=short.optimizer(), metrics=["accuracy"])
    history = model.fit(train, validation_data=val, verbose=0, **short.fit_options())
    assert np.isfinite(history.history["val_loss"]).all()
    assert Path(model.export(tmp_path / "served" / "1"), "saved_model.pb").is_file()
