"""What `make run` makes before the pipeline."""

import importlib
import re
from pathlib import Path

import pytest

from pipelines import demo
from pipelines.run import GENERATED
from tfvs.preparation.readers import make_reader

pytest.importorskip("sklearn")


@pytest.mark.parametrize("pipeline", GENERATED)
def test_data_are_made_once_and_are_what_the_pipeline_reads(pipeline, tmp_path, monkeypatch) -> None:
    module = importlib.import_module(f"pipelines.{pipeline}")
    monkeypatch.setattr(module, "COUNTS", {"train": 2, "eval": 1, "test": 1})
    lines: list[str] = []
    folder = demo.make_data(pipeline, tmp_path, "uci", lines.append)
    reader = make_reader(module.DEFAULT.reader, str(folder), module.DEFAULT.class_names)
    sources = list(reader.read())
    assert [source.split for source in sources] == ["train", "train", "eval", "test"]
    assert all(0 <= source.label < len(module.DEFAULT.class_names) for source in sources)
    assert str(folder).endswith(module.DEFAULT.data.removeprefix("runs/"))
    assert re.match("data set: 4 (canvases, digits from uci|simulated battles): ", lines[0])
    first = Path(sources[0].uri)
    written = first.stat().st_mtime_ns
    demo.make_data(pipeline, tmp_path, "uci", lines.append)
    assert first.stat().st_mtime_ns == written
