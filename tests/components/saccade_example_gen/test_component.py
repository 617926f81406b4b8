import json
import os
from pathlib import Path

import pytest

pytest.importorskip("tfx")

import tensorflow as tf
from tfx.orchestration import data_types, metadata
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.saccade_example_gen import driver, executor
from components.saccade_example_gen.component import Pyramids, SaccadeExampleGen
from tests.preparation.images import write_folder, write_png
from tfvs.data.example import parse_examples
from tfvs.errors import ConfigError, TooManyRejectedError

pytestmark = pytest.mark.tfx

OPTIONS = {"proxy": {"height": 8, "width": 8}, "tile_size": 32, "compression": "none", "decoder": "direct"}


def _properties(component):
    """Execution properties as an executor gets them."""
    from google.protobuf import json_format, message

    values = component.spec.exec_properties
    return {
        name: json_format.MessageToJson(value) if isinstance(value, message.Message) else value
        for name, value in values.items()
    }


def _resolve(component):
    info = data_types.PipelineInfo("p", "r")
    resolver = driver.Driver(metadata.Metadata(metadata.sqlite_metadata_connection_config(":memory:")))
    return resolver.resolve_exec_properties(_properties(component), info, data_types.ComponentInfo("t", "i", info))


def _do(component, output: Path):
    outputs = {}
    for name, kind in (("examples", standard_artifacts.Examples), ("pyramids", Pyramids)):
        artifact = kind()
        artifact.uri = str(output / name)
        os.makedirs(artifact.uri)
        outputs[name] = [artifact]
    executor.Executor().Do({}, outputs, _resolve(component))
    return outputs["examples"][0], outputs["pyramids"][0]


def _component(data, root, **fields):
    return SaccadeExampleGen(str(data), "folder", str(root), **OPTIONS, **fields)


def test_writes_artifacts_that_tfx_reads(tmp_path):
    write_folder(tmp_path / "in", 20)
    examples, pyramids = _do(_component(tmp_path / "in", tmp_path / "p"), tmp_path / "out")
    assert set(artifact_utils.decode_split_names(examples.split_names)) <= {"train", "eval", "test"}
    assert examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert examples.get_string_custom_property("file_format") == "tfrecords_gzip"
    assert pyramids.get_string_custom_property("pyramid_root") == str(tmp_path / "p")
    assert pyramids.get_int_custom_property("num_images") == 20
    assert json.loads((Path(pyramids.uri) / "manifest.json").read_text())["written"] == 20
    uri = artifact_utils.get_split_uri([examples], "train")
    files = [str(path) for path in Path(uri).iterdir()]
    parsed = parse_examples(next(iter(tf.data.TFRecordDataset(files, "GZIP").batch(100))))
    for relative in parsed["pyramid/uri"].numpy():
        assert (tmp_path / "p" / relative.decode()).is_file()


def test_fingerprint_is_new_where_input_or_pyramids_are(tmp_path):
    data = write_folder(tmp_path / "in", 4)
    component = _component(data, tmp_path / "p")
    first = _resolve(component)["input_fingerprint"]
    assert _resolve(component)["input_fingerprint"] == first
    write_png(data / "class0" / "new.png")
    second = _resolve(component)["input_fingerprint"]
    (tmp_path / "p" / "root-id").unlink()
    third = _resolve(component)["input_fingerprint"]
    assert len({first, second, third}) == 3


def test_the_newest_span_is_read(tmp_path):
    for span, count in ((3, 2), (12, 5)):
        write_folder(tmp_path / "in" / f"span-{span}", count)
    config = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern="span-{SPAN}/*")])
    component = _component(tmp_path / "in", tmp_path / "p", input_config=config)
    resolved = _resolve(component)
    assert resolved["span"] == 12
    assert resolved["input_fingerprint"].startswith("5 images")
    _, pyramids = _do(component, tmp_path / "out")
    assert pyramids.get_int_custom_property("num_images") == 5


def test_the_newest_version_of_the_span_asked_for_is_read(tmp_path):
    for folder, count in (("1/1", 2), ("1/2", 3), ("2/9", 4)):
        write_folder(tmp_path / "in" / folder, count)
    split = example_gen_pb2.Input.Split(name="all", pattern="{SPAN}/{VERSION}/*")
    spans = range_config_pb2.RangeConfig(
        static_range=range_config_pb2.StaticRange(start_span_number=1, end_span_number=1)
    )
    config = example_gen_pb2.Input(splits=[split])
    resolved = _resolve(_component(tmp_path / "in", tmp_path / "p", input_config=config, range_config=spans))
    assert (resolved["span"], resolved["version"]) == (1, 2)
    assert resolved["input_fingerprint"].startswith("3 images")


def test_the_newest_day_is_read(tmp_path):
    for folder, count in (("2024-12-31", 2), ("2025-02-01", 3), ("2025-01-30", 4)):
        write_folder(tmp_path / "in" / folder / "photos", count)
    split = example_gen_pb2.Input.Split(name="all", pattern="{YYYY}-{MM}-{DD}/photos/*")
    resolved = _resolve(_component(tmp_path / "in", tmp_path / "p", input_config=example_gen_pb2.Input(splits=[split])))
    assert resolved["input_fingerprint"].startswith("3 images")
    assert "2025-02-01/photos" in resolved["input_config"]


def test_of_a_changed_data_set_only_what_changed_is_converted(tmp_path):
    data = write_folder(tmp_path / "in", 6)
    component = _component(data, tmp_path / "p")
    _do(component, tmp_path / "first")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "p").rglob("*.tif")}
    assert len(before) == 6
    write_png(data / "class0" / "0000.png", seed=99)
    _do(component, tmp_path / "second")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "p").rglob("*.tif")}
    assert before.items() <= after.items()
    assert len(after) == 7


def test_too_many_rejects_leave_the_dead_letters_with_the_pyramids(tmp_path):
    data = write_folder(tmp_path / "in", 3)
    (data / "class0" / "bad.png").write_bytes(b"no")
    with pytest.raises(TooManyRejectedError):
        _do(_component(data, tmp_path / "p"), tmp_path / "out")
    assert "bad.png" in (tmp_path / "p" / "rejected.jsonl").read_text()


def test_options_are_checked_when_the_pipeline_is_made(tmp_path):
    with pytest.raises(ConfigError, match="proxy_hight"):
        SaccadeExampleGen(str(tmp_path), "folder", str(tmp_path), proxy_hight=3)
    with pytest.raises(ConfigError, match="dicom"):
        SaccadeExampleGen(str(tmp_path), "dicom", str(tmp_path))
    two = [example_gen_pb2.Input.Split(name=name, pattern="*") for name in "ab"]
    with pytest.raises(ConfigError, match="one split"):
        _component(tmp_path, tmp_path, input_config=example_gen_pb2.Input(splits=two))


def test_an_input_whose_path_looks_like_a_pattern(tmp_path):
    write_folder(tmp_path / "in [1]", 4)
    write_folder(tmp_path / "in 1", 2)
    resolved = _resolve(_component(tmp_path / "in [1]", tmp_path / "p"))
    assert (resolved["span"], resolved["version"]) == (0, None)
    assert resolved["input_fingerprint"].startswith("4 images")
    config = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern="span-{SPAN}/*")])
    with pytest.raises(ConfigError, match="pattern"):
        _resolve(_component(tmp_path / "in [1]", tmp_path / "p", input_config=config))
