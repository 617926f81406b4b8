"""The pipeline for images of one's own: classes, model and schema come from the data."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipelines import my_images
from pipelines.config import PipelineConfig
from pipelines.preflight import check
from pipelines.schema import CURATED, ensure_schema, make_schema, schema_file
from tfvs.datasets.sign_photographs import CLASS_NAMES, SignConfig, write
from tfvs.errors import ConfigError, DataError

FIVEK = PipelineConfig(name="adobe5k", data="d", reader="fivek", class_names=tuple("abcdef"))


def parse(text: str) -> dict[str, str]:
    """Feature name → its entry in a canonical form."""
    schema = text_format.Parse(text, schema_pb2.Schema())
    return {feature.name: text_format.MessageToString(feature) for feature in schema.feature}


def test_a_generated_schema_says_what_the_curated_one_says() -> None:
    generated, curated = parse(make_schema(FIVEK)), parse((CURATED / "adobe5k.pbtxt").read_text())
    assert generated.pop("image/micrometres_per_px")  # of slides alone
    assert generated == curated


def test_a_schema_lies_beside_the_data_and_is_left_to_its_owner(tmp_path: Path) -> None:
    own = FIVEK.replace(name="mine", data=str(tmp_path))
    path = ensure_schema(own)
    assert (path.parent, "# Labels: 0 a, 1 b" in path.read_text()) == (tmp_path, True)
    path.write_text("# mended")
    assert ensure_schema(own).read_text() == "# mended"
    (tmp_path / "list.csv").write_text("path,label")
    assert schema_file(own.replace(data=str(tmp_path / "list.csv"))) == path
    assert schema_file(FIVEK).parent == CURATED


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "my photos"
    return write(folder, SignConfig(width=240, height=160, sign_px=20), {"train": 18, "eval": 3, "test": 3})


def test_the_configuration_is_derived_from_the_data(photographs: Path, tmp_path: Path) -> None:
    environ = {"TFVS_DATA": str(photographs), "TFVS_OBJECT_PX": "20", "TFVS_RUNS_ROOT": str(tmp_path)}
    config = my_images.configure({**environ, "TFVS_TRAIN": '{"epochs": 3}'})
    assert config.class_names == CLASS_NAMES
    assert (config.image_bands, config.proxy.channels) == (3, 3)
    assert config.model["posterior"] == "categorical"
    assert config.train["epochs"] == 3
    assert config == my_images.configure({**environ, "TFVS_TRAIN": '{"epochs": 3}'})
    check(config)
    assert (photographs / "tfvs_schema.pbtxt").is_file()


def test_what_cannot_be_a_data_set_is_one_of_our_errors(tmp_path: Path) -> None:
    for environ, kind in (
        ({}, DataError),
        ({"TFVS_DATA": str(tmp_path / "none")}, DataError),
        ({"TFVS_DATA": str(tmp_path)}, DataError),
        ({"TFVS_DATA": str(tmp_path), "TFVS_OBJECT_PX": "big"}, ConfigError),
    ):
        with pytest.raises(kind):
            my_images.configure(environ)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(9):
            (tmp_path / name / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="None of the training images"):
        my_images.configure({"TFVS_DATA": str(tmp_path)})
