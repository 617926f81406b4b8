"""What `make run` makes before the pipeline."""

import importlib
import json

import pytest

from pipelines import demo
from pipelines.run import GENERATED

pytest.importorskip("sklearn")


@pytest.mark.parametrize("pipeline", GENERATED)
def test_data_are_made_once_and_are_what_the_pipeline_reads(pipeline, tmp_path, monkeypatch) -> None:
    module = importlib.import_module(f"pipelines.{pipeline}")
    monkeypatch.setattr(module, "COUNTS", {"train": 2, "eval": 1, "test": 1})
    lines: list[str] = []
    folder = demo.make_data(pipeline, tmp_path, "uci", lines.append)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [row["split"] for row in rows] == ["train", "train", "eval", "test"]
    assert all(0 <= row["label"] < len(module.DEFAULT.class_names) for row in rows)
    assert str(folder).endswith(module.DEFAULT.data.removeprefix("runs/"))
    assert lines[0].startswith("data set: 4 canvases, digits from uci")
    first = (folder / "train" / "000000.png").stat().st_mtime_ns
    demo.make_data(pipeline, tmp_path, "uci", lines.append)
    assert (folder / "train" / "000000.png").stat().st_mtime_ns == first
