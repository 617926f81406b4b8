"""The run report, whole, from a metadata store as TFX fills it."""

import base64
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ml_metadata", reason="TFX is not installed")

from pipelines import report
from pipelines.reporting import evaluation
from pipelines.reporting.run_record import RunRecord, read_run
from tests.pipelines.reporting.tfma_like import tfma_like
from tests.pipelines.runs import COLOURS, NAMES
from tfvs.errors import DataError

pytestmark = pytest.mark.tfx


def pictures(page):
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)"(?: width="\d+")? alt="([^"]+)"', page)
    return {name: np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for text, name in found}


def test_stopped_run_is_reported_too(finished, tmp_path):
    record = read_run(finished / "metadata.db", "p", "2026-01-01")
    assert [v.text for v in report.verdicts(record)] == ["failed in Trainer", "not evaluated", "not pushed"]
    page = report.write_report(tmp_path / "r.html", record, NAMES).read_text()
    assert "failed in Trainer" in page
    assert "No model was trained." in page
    assert "The model has not been evaluated." in page
    assert set(pictures(page)) == {"Images of each class"}


def test_time_of_what_was_used_again_is_told(finished, tmp_path):
    record = read_run(finished / "metadata.db", "p")
    steps = [dataclasses.replace(step, seconds=30.0, state="complete") for step in record.steps]
    assert report.took(dataclasses.replace(record, steps=steps)) == f"{report.duration(30.0 * len(steps))} in all"
    reused = [dataclasses.replace(step, state="reused") for step in steps]
    told = report.took(dataclasses.replace(record, steps=reused))
    assert told.startswith(f"0.00 s, with the results of {len(steps)} components used again")
    assert told.endswith(f"took {report.duration(30.0 * len(steps))}")


def test_whole_report(finished, tmp_path):
    record = read_run(finished / "metadata.db", "p")
    page = report.write_report(tmp_path / "r.html", record, NAMES, pyramid_root=finished / "pyramids").read_text()
    shown = pictures(page)
    assert set(shown) == {
        "Calibration plot", "Images of each class", "Learning curves",
        "Saccade sheet of right answers", "Saccade sheet of wrong answers",
    }  # fmt: skip
    right, wrong = (shown[f"Saccade sheet of {kind} answers"] for kind in ("right", "wrong"))
    for colour in COLOURS:  # one right answer of every class, with its image and its crops
        assert np.sum(np.all(np.abs(right.astype(int) - colour) < 12, axis=-1)) > 20_000
    assert np.sum(np.all(np.abs(wrong.astype(int) - COLOURS[2]) < 12, axis=-1)) > 20_000
    assert len(right) > 2 * len(wrong)
    assert "Chosen among 6 images of the split test" in page
    assert "Unexpectedly large value: 7." in page
    assert "10 to 30, mean 20" in page
    assert "25.0 %" in page
    assert "pushed as version 17" in page
    assert "&#34;class_names&#34;" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "<script" not in page
    linked = report.write_report(tmp_path / "l.html", record, NAMES, max_answers=2, viewer="../viewer.html").read_text()
    assert '<a href="../viewer.html">' in linked


def test_without_images_the_report_still_stands(finished, tmp_path):
    record = read_run(finished / "metadata.db", "p")
    (tmp_path / "empty").mkdir()
    page = report.write_report(tmp_path / "r.html", record, NAMES, pyramid_root=tmp_path / "empty").read_text()
    assert "The images are not there" in page
    assert "Calibration plot" in pictures(page)


def test_command_line(finished, tmp_path):
    from click.testing import CliRunner

    arguments = [str(finished / "metadata.db"), "p", str(tmp_path / "r.html"), "--run", "2026-01-01"]
    assert CliRunner().invoke(report.main, arguments).exit_code == 0
    assert (tmp_path / "r.html").stat().st_size > 5000
    failed = CliRunner().invoke(report.main, [str(tmp_path / "none.db"), *arguments[1:]])
    assert failed.exit_code == DataError.exit_code
    assert failed.output.startswith("error: There is no metadata store")


def test_metrics_are_rendered_with_names_escaped():
    values = report.collect(RunRecord("p", "r", []), NAMES, None, 1, 1)
    found = evaluation.summarise(*tfma_like(), NAMES, ["accuracy is 0.1; at least 0.5 is asked for"])
    page = report.render(
        {
            **values,
            "evaluation": found,
            "slices": [("class", [row for row in found.slices if row.feature == "class"])],
            "metric_names": ["sparse_categorical_accuracy"],
            "classes": evaluation.class_rows(found.confusion, NAMES),
        }
    )
    assert "&lt;b&gt;blue&lt;/b&gt;" in page
    assert "<b>blue" not in page
    assert "at least 0.5 is asked for" in page
    assert "0.7500" in page


def test_configuration_is_laid_out_or_shown_as_it_is():
    assert report.configuration({}) == ""
    assert report.configuration({"custom_config": "null"}) == ""
    assert json.loads(report.configuration({"custom_config": '{"config": "{\\"a\\": 1}"}'})) == {"config": {"a": 1}}
    assert report.configuration({"custom_config": "{not json"}) == "{not json"
