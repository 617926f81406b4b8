"""One run of a pipeline, read from a metadata store as TFX fills it."""

import pytest

pytest.importorskip("ml_metadata", reason="TFX is not installed")

from pipelines import report
from pipelines.reporting.run_record import RunRecord, read_run
from tests.pipelines.runs import NAMES
from tfvs.errors import DataError, ResourceError

pytestmark = pytest.mark.tfx


def test_latest_run_is_read_with_its_steps_and_artifacts(finished):
    record = read_run(finished / "metadata.db", "p")
    assert record.run_id == "2026-01-02"
    assert [step.component for step in record.steps] == [
        "ExampleGen", "StatisticsGen", "ExampleValidator", "Trainer", "Evaluator", "Pusher",
    ]  # fmt: skip
    assert [step.state for step in record.steps] == ["reused"] + ["complete"] * 5
    assert record.artifact("Examples").uri == str(finished / "examples")
    assert record.artifact("Schema") is None
    assert report.recorded_class_names(record) == NAMES
    assert report.pushed_to(record) == "/s/17"
    assert [(v.good, v.text) for v in report.verdicts(record)] == [(True, "blessed"), (True, "pushed as version 17")]


def test_missing_store_pipeline_and_run_are_named(finished, tmp_path):
    with pytest.raises(DataError, match="no metadata store"):
        read_run(tmp_path / "none.db", "p")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(DataError, match=r"no such pipeline.*q"):
        read_run(finished / "metadata.db", "q")
    with pytest.raises(DataError, match=r"no such run.*2026-01-01"):
        read_run(finished / "metadata.db", "p", "1999")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="Cannot write"):
        report.write_report(tmp_path / "file" / "r.html", RunRecord("p", "r", []), NAMES)
