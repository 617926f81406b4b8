"""Data sets of one's own images: what Keras' users expect, and a cache that is used again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvs
from tests.preparation.images import write_folder, write_png
from tfvs.datasets import image_dataset_from_dataframe, image_dataset_from_directory
from tfvs.errors import ConfigError, DataError, InputError, TooManyRejectedError

SMALL: dict[str, Any] = {"proxy_size": (16, 16), "batch_size": 4, "tile_size": 32, "decoder": "direct"}
IMAGES = 14


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("photos") / "in", IMAGES)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def labels_of(dataset: tf.data.Dataset) -> list[int]:
    return [int(label) for _, labels in dataset for label in labels]


def test_a_split_covers_all_images_once_and_is_the_same_again(photos: Path, cache: str) -> None:
    options = {**SMALL, "cache_dir": cache, "validation_split": 0.3, "seed": 1}
    train, val = image_dataset_from_directory(photos, **options)
    assert train.class_names == val.class_names == ["class0", "class1"]
    assert not set(train.file_paths) & set(val.file_paths)
    assert sorted(train.file_paths + val.file_paths) == sorted(
        str(path.relative_to(photos)) for path in photos.rglob("*.png")
    )
    assert (len(val.file_paths), train.cardinality().numpy()) == (4, 3)
    inputs, labels = next(iter(train))
    assert inputs["proxy"].shape == (4, 16, 16, 3)
    assert labels.dtype == tf.int64
    assert sorted(labels_of(train)) == sorted(int(path[5]) for path in train.file_paths)
    only = image_dataset_from_directory(photos, **options, subset="validation")
    assert only.file_paths == val.file_paths


def test_without_shuffling_images_are_sorted(photos: Path, cache: str) -> None:
    dataset = image_dataset_from_directory(photos, **SMALL, cache_dir=cache, shuffle=False)
    assert labels_of(dataset) == [0] * 7 + [1] * 7


def test_the_cache_is_used_again_and_sees_new_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFVS_CACHE", str(tmp_path / "cache"))
    photos = write_folder(tmp_path / "in", 4)

    def state() -> dict[str, int]:
        return {str(path): os.stat(path).st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.is_file()}

    image_dataset_from_directory(photos, **SMALL)
    first = state()
    image_dataset_from_directory(photos, **SMALL)
    assert state() == first
    write_png(photos / "class1" / "new.png", seed=77)
    assert len(image_dataset_from_directory(photos, **SMALL).file_paths) == 5
    pyramids = [path for path in state() if path.endswith(".tif")]
    assert len(pyramids) == 5
    assert {path: first[path] for path in first} == {path: state()[path] for path in first}


def test_a_table_names_images_and_classes(photos: Path, cache: str) -> None:
    table = {"file": ["class0/0000.png", "class1/0001.png", "class0/0002.png"], "kind": ["wolf", "ant", "wolf"]}
    dataset = image_dataset_from_dataframe(
        table, photos, "file", "kind", **SMALL, cache_dir=cache, shuffle=False, color_mode="grayscale"
    )
    assert dataset.class_names == ["ant", "wolf"]
    assert labels_of(dataset) == [1, 1, 0]  # sorted by path
    assert next(iter(dataset))[0]["proxy"].shape[-1] == 1
    with pytest.raises(DataError, match="no such column"):
        image_dataset_from_dataframe(table, photos, **SMALL)
    with pytest.raises(DataError, match="other classes"):
        image_dataset_from_dataframe(table, photos, "file", "kind", classes=["ant"], **SMALL)


def test_wrong_arguments_are_named(photos: Path, cache: str, tmp_path: Path) -> None:
    for options in ({"validation_split": 0.2}, {"subset": "training"}, {"color_mode": "cmyk"}, {"batch": 3}):
        with pytest.raises(ConfigError):
            image_dataset_from_directory(photos, **{**SMALL, "cache_dir": cache, **options})
    with pytest.raises(DataError, match="splits, not classes"):
        image_dataset_from_directory(write_folder(tmp_path / "in" / "train", 4).parent, **SMALL, cache_dir=cache)
    broken = write_folder(tmp_path / "broken", 2)
    (broken / "class0" / "bad.png").write_bytes(b"no")
    for _ in range(2):
        with pytest.raises(TooManyRejectedError):
            image_dataset_from_directory(broken, **SMALL, cache_dir=cache)


@pytest.mark.slow
def test_the_ten_lines(photos: Path, cache: str, tmp_path: Path) -> None:
    """A keras.applications network reads the crops; the model is fitted, saved, loaded, exported and asked."""
    keras.utils.set_random_seed(1)
    options = {**SMALL, "cache_dir": cache, "validation_split": 0.3, "seed": 1}
    train, val = image_dataset_from_directory(photos, **options)
    encoder = keras.applications.MobileNetV2(include_top=False, pooling="avg", weights=None, alpha=0.35)
    model = tfvs.VariationalSaccader(num_classes=2, crop_size=32, num_steps=2, crop_encoder=encoder)
    with pytest.raises(InputError, match="does not know"):
        model.export(tmp_path / "early")
    model.compile(optimizer="adam", metrics=["accuracy"])
    history = model.fit(train, validation_data=val, epochs=1, verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()
    expected = model.predict(val, verbose=0)
    assert expected.valid.all()
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded.predict(val, verbose=0).logits, expected.logits, atol=1e-4)
    loaded.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    image = (photos / val.file_paths[0]).read_bytes()
    answer = served.signatures["predict_images"](image_bytes=tf.constant([image]))
    assert bool(answer["valid"][0]), answer["reason"]
    with pytest.raises(ConfigError, match="number of classes"):
        tfvs.VariationalSaccader(num_classes=3, crop_size=32).fit(train)
