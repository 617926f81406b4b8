import json

import pytest

from pipelines.config import PipelineConfig, load_config, load_pipeline
from tfvs.errors import ConfigError

DEFAULT = PipelineConfig(name="digits", data="data", reader="manifest", class_names=("a", "b", "c"))


def test_round_trip() -> None:
    config = DEFAULT.replace(model={"num_steps": 5}, train={"epochs": 2}, runs_root="elsewhere")
    assert PipelineConfig.from_json(config.to_json()) == config


def test_single_variables_are_json_or_text() -> None:
    config = load_config(DEFAULT, {"TFVS_DATA": "/x/y", "TFVS_TILE_SIZE": "64", "TFVS_UNRELATED": "1"})
    assert (config.data, config.tile_size) == ("/x/y", 64)


def test_objects_are_merged_in_order(tmp_path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"train": {"epochs": 7, "seed": 1}, "tile_size": 64}))
    config = load_config(DEFAULT, {"TFVS_CONFIG": str(file), "TFVS_TRAIN": '{"epochs": 3}'})
    assert config.train == {"epochs": 3, "seed": 1}
    assert config.tile_size == 64


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"TFVS_MINIMUM_ACCURACY": "0.2"}, "guesses"),
        ({"TFVS_TRAIN": "7"}, "object"),
        ({"TFVS_CONFIG": "/nowhere.json"}, "/nowhere.json"),
    ],
)
def test_what_cannot_work_is_named(environ, named) -> None:
    with pytest.raises(ConfigError, match=named):
        load_config(DEFAULT, environ)


def test_unknown_field_of_a_file(tmp_path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"epochs": 3}')
    with pytest.raises(ConfigError, match="no field epochs"):
        load_config(DEFAULT, {"TFVS_CONFIG": str(file)})


def test_paths_lie_under_the_runs_root(tmp_path) -> None:
    config = DEFAULT.replace(runs_root=str(tmp_path))
    assert config.serving_root == tmp_path / "digits" / "serving" / "digits"
    assert config.pyramid_root.parent == tmp_path / "digits"


def test_what_lies_in_a_bucket_and_what_on_this_machine(tmp_path) -> None:
    config = DEFAULT.replace(runs_root="s3://bucket/runs/", local_root=str(tmp_path))
    assert config.location("artifacts") == "s3://bucket/runs/digits/artifacts"
    assert config.metadata_path == tmp_path / "digits" / "metadata.db"
    with pytest.raises(ConfigError, match=r"cut out of photographs on this machine.*s3://bucket/gtsdb"):
        load_pipeline("speed_limits", {"TFVS_DATA": "s3://bucket/gtsdb"})
