"""What is found before anything runs: each in one sentence, with the component and the mend."""

import json
from pathlib import Path

import pytest

pytest.importorskip("apache_beam", reason="Beam is not installed")

from pipelines import preflight
from pipelines.config import PipelineConfig
from pipelines.preflight import check, check_config
from tests.preparation.images import write_png
from tfvs.datasets.adobe5k import CLASS_NAMES
from tfvs.errors import ConfigError, DataError, ResourceError, TooManyRejectedError

pytestmark = pytest.mark.tfx
DEFAULT = PipelineConfig(
    name="two_digit_mnist", data="data", reader="manifest", class_names=("a", "b", "c"), train={"batch_size": 4}
)


@pytest.fixture
def config(tmp_path) -> PipelineConfig:
    """A pipeline that could run: six images for training, two for evaluation, two for the test."""
    splits = ["train"] * 6 + ["eval"] * 2 + ["test"] * 2
    write_list(tmp_path / "data", [(number % 3, split) for number, split in enumerate(splits)])
    return DEFAULT.replace(data=str(tmp_path / "data"), runs_root=str(tmp_path / "runs"))


def write_list(folder: Path, images: list[tuple[object, str | None]]) -> None:
    folder.mkdir(exist_ok=True)
    write_png(folder / "0.png")
    rows = [{"path": "0.png", "id": str(number), "label": label} for number, (label, _) in enumerate(images)]
    for row, (_, split) in zip(rows, images, strict=True):
        row |= {"split": split} if split else {}
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_can_run_passes_and_leaves_nothing_behind(config) -> None:
    check(config)
    assert list(config.root.iterdir()) == []


def test_missing_data(config, tmp_path) -> None:
    with pytest.raises(DataError, match=r"not there.*TFVS_DATA"):
        check(config.replace(data=str(tmp_path / "none")))


@pytest.mark.parametrize("place", ["data", "runs_root"])
def test_half_a_uri_is_not_taken_for_a_folder(config, place, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="half a URI"):
        check(config.replace(**{place: "folder/s3://bucket"}))
    with pytest.raises(ConfigError, match="nfs://"):
        check(config.replace(**{place: "nfs://bucket/photos"}))
    assert not (tmp_path / "folder").exists()


def test_empty_data(config, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        check(config.replace(data=str(tmp_path / "empty")))


@pytest.mark.parametrize(
    ("reader", "names", "named"),
    [("fivek", CLASS_NAMES, "no FiveK data set.*training.json"), ("folder", ("a", "b", "c"), "<class>/<image>")],
)
def test_data_in_another_layout(config, reader, names, named) -> None:
    with pytest.raises(DataError, match=named):
        check(config.replace(reader=reader, class_names=names, name="adobe5k"))


def test_output_that_cannot_be_written(config, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="TFVS_RUNS_ROOT"):
        check(config.replace(runs_root=str(tmp_path / "file")))


def test_full_disk(config, monkeypatch) -> None:
    monkeypatch.setattr(preflight, "MINIMUM_FREE_BYTES", 10**18)
    with pytest.raises(ResourceError, match=r"full.*TFVS_RUNS_ROOT"):
        check(config)


def test_label_outside_the_schema(config, tmp_path) -> None:
    write_list(tmp_path / "data", [(0, "train")] * 8 + [(7, "train")] + [(0, "eval"), (0, "test")])
    with pytest.raises(TooManyRejectedError, match=r"SaccadeExampleGen: 1 of 11 .*There is no class 7 of 3"):
        check(config)


def test_unknown_label(config, tmp_path) -> None:
    write_list(tmp_path / "data", [(0, "train")] * 8 + [(None, "train")] + [(0, "eval"), (0, "test")])
    with pytest.raises(DataError, match=r"outside the classes.*\[-1\]"):
        check(config)


def test_too_few_images(config, tmp_path) -> None:
    every_class = [(0, "train"), (1, "train"), (2, "train")]
    write_list(tmp_path / "data", [*every_class, (0, "eval"), (0, "test")])
    with pytest.raises(DataError, match=r"Trainer: fewer training images than one batch.*train\.batch_size"):
        check(config)
    write_list(tmp_path / "data", [(0, "train")] * 5 + [(1, "train"), (0, "eval"), (0, "test")])
    with pytest.raises(DataError, match=r"Trainer: too few training images.*\{'c': 0\}.*TFVS_MINIMUM_PER_CLASS"):
        check(config)
    check(config.replace(minimum_per_class=0))
    write_list(tmp_path / "data", [*every_class * 2, (0, "eval")])
    with pytest.raises(DataError, match="Evaluator: the split test has no images"):
        check(config)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"train": {"zoom_from": 1.0, "zoom_to": 0.1}}, "Trainer: the zoom leaves"),
        ({"train": {"epochs": 0}}, "epochs is out of range. Expected: at least 1"),
        ({"train": {"batch_size": 5, "num_devices": 2}}, "multiple of 2"),
        ({"train": {"learning_rat": 1}}, "no field learning_rat"),
        ({"model": {"min_scale": 0.9, "max_scale": 0.3}}, "range of scales is empty"),
        ({"model": {"num_classes": 4}}, "num_classes"),
        ({"tile_size": 100}, "tile size"),
        ({"proxy": {"channels": 2}}, "channels"),
        ({"reader": "fivek"}, "FiveK has a fixed list of classes"),
    ],
)
def test_configurations_that_contradict_themselves(changes, named) -> None:
    with pytest.raises(ConfigError, match=named):
        check_config(DEFAULT.replace(**changes))


@pytest.mark.parametrize("pipeline", ["adobe5k", "megapixel_mnist", "speed_limits", "starcraft2", "two_digit_mnist"])
def test_the_pipelines_of_this_repository_do_not_contradict_themselves(pipeline) -> None:
    import importlib

    check_config(importlib.import_module(f"pipelines.{pipeline}").DEFAULT)
