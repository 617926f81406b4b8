"""The report of one pipeline run: a single HTML file with what a reader needs to assess the model.

R=runs/two_digit_mnist; python -m pipelines.report $R/metadata.db two_digit_mnist report.html --pyramids $R/pyramids
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import math
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import numpy as np

from pipelines.config import PYRAMIDS, PipelineConfig
from pipelines.reporting import data_sections, evaluation, figures
from pipelines.reporting.run_record import REUSED, RunRecord, read_run
from tfvs.data.dataset import read_labels, split_files
from tfvs.errors import one_sentence
from tfvs.evaluation import answers as answering
from tfvs.evaluation.calibration import calibration_of_answers
from tfvs.preparation import files
from tfvs.storage.tensorflow_files import teach_tensorflow
from tfvs.viz import charts, curves
from tfvs.viz.files import write_atomically
from tfvs.viz.saccade_sheet import write_saccade_sheet

TEMPLATE_FOLDER = Path(__file__).parent / "reporting"
SHEET_ROWS = 4
VIEWER = "viewer.html"
MAX_ANSWERS = 400
PACKAGES = ("tfvs", "tfx", "tensorflow", "keras", "tensorflow-probability", "tensorflow-model-analysis", "apache-beam",
            "ml-metadata", "numpy", "pyvips")  # fmt: skip
CONTENTS = (("metrics", "Metrics"), ("saccades", "Where it looked"), ("training", "Learning curves"), ("data", "Data"),
            ("run", "Run"))  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """One badge at the head of the report."""

    good: bool
    text: str


def write_config_report(config: PipelineConfig, run_id: str | None = None, *, shows_viewer: bool = False) -> Path:
    """Writes ``reports/<run>.html`` under the pipeline's root.

    Args:
      config: Configuration of the pipeline.
      run_id: The run; the latest one if left out.
      shows_viewer: Whether there is, or will be, a page to zoom into one image, ``viewer.html`` under the root.

    Returns:
      The report.
    """
    record = read_run(config.metadata_path, config.name, run_id)
    destination = config.root / "reports" / f"{record.run_id.replace(':', '-')}.html"
    viewer = os.path.relpath(config.root / VIEWER, destination.parent)
    return write_report(
        destination,
        record,
        config.class_names,
        pyramid_root=config.location(PYRAMIDS),
        viewer=viewer if shows_viewer else None,
    )


def write_report(
    destination: str | os.PathLike[str],
    record: RunRecord,
    class_names: Sequence[str],
    *,
    pyramid_root: str | os.PathLike[str] | None = None,
    sheet_rows: int = SHEET_ROWS,
    max_answers: int = MAX_ANSWERS,
    viewer: str | None = None,
) -> Path:
    """Writes a run's report: one HTML file that needs no other file and no network.

    A part whose artifacts a stopped run did not make says so.

    Args:
      destination: ``.html``.
      record: As :func:`pipelines.reporting.run_record.read_run` returns it.
      class_names: In the order of the labels.
      pyramid_root: Folder that the records' ``pyramid/uri`` is relative to; without it there are no saccade sheets.
      sheet_rows: Right and wrong answers to show, of each.
      max_answers: How many images the model is asked about, to choose these among.
      viewer: Where a page to zoom into one image lies, relative to the report; None: there is none.

    Returns:
      The destination.

    Raises:
      DataError: An artifact is not what its type says.
      ResourceError: The destination cannot be written.
    """
    values = {**collect(record, class_names, pyramid_root, sheet_rows, max_answers), "viewer": viewer}
    return write_atomically(destination, render(values))


def render(values: dict[str, Any]) -> str:
    """The HTML of the collected values; texts in them are never taken for markup."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"duration": duration, "number": number, "words": charts.words}
    return environment.get_template("report.html").render(values)


def collect(
    record: RunRecord,
    class_names: Sequence[str],
    pyramid_root: str | os.PathLike[str] | None,
    sheet_rows: int,
    max_answers: int,
) -> dict[str, Any]:
    """Everything the template shows, as plain data; see :func:`write_report`."""
    statistics = record.artifact("ExampleStatistics")
    anomalies = record.artifacts("ExampleAnomalies")
    model_run = record.artifact("ModelRun")
    evaluated = record.artifact("ModelEvaluation")
    results = evaluation.read_evaluation(evaluated.uri, class_names) if evaluated else None
    found = curves.read_history(model_run.uri) if model_run else []
    pictures: dict[str, bytes] = {}
    if found:
        pictures["curves"] = curves.learning_curves(found)
    if counts := class_counts(record, len(class_names)):
        pictures["classes"] = figures.class_counts_figure(counts, class_names)
    saccades = collect_saccades(record, class_names, pyramid_root, sheet_rows, max_answers)
    pictures |= saccades.pop("pictures")
    of_answers = saccades.pop("calibration")
    calibration = results.calibration if results is not None and results.calibration is not None else of_answers
    classes: list[evaluation.ClassRow] = []
    if results is not None and results.confusion is not None:
        classes = evaluation.class_rows(results.confusion, class_names)
        pictures["confusion"] = charts.confusion_figure(results.confusion, class_names)
    if calibration is not None:
        pictures["calibration"] = charts.calibration_figure(
            calibration.stated, calibration.observed, calibration.counts
        )
    slices = (
        [(feature, list(rows)) for feature, rows in groupby(results.slices, lambda row: row.feature)] if results else []
    )
    trainer = record.step("Trainer")
    return {
        "record": record,
        "contents": CONTENTS,
        "verdicts": verdicts(record),
        "took": took(record),
        "viewer": None,
        "longest": max((step.seconds for step in record.steps), default=0.0) or 1.0,
        "evaluation": results,
        "slices": slices,
        "metric_names": sorted({name for _, rows in slices for row in rows for name in row.metrics}),
        "classes": classes,
        "calibration": calibration,
        "figures": {name: picture(png) for name, png in pictures.items()},
        "statistics": data_sections.read_statistics(statistics) if statistics else [],
        "anomalies": data_sections.read_anomalies(anomalies) if anomalies else None,
        "pushed_to": pushed_to(record),
        "versions": versions(),
        "configuration": configuration(trainer.properties if trainer else {}),
        **saccades,
    }


def verdicts(record: RunRecord) -> list[Verdict]:
    """The outcome of the run, in few words."""
    failed = [step.component for step in record.steps if step.state == "failed"]
    found = [Verdict(False, f"failed in {', '.join(failed)}")] if failed else []
    blessing, pushed = record.artifact("ModelBlessing"), record.artifact("PushedModel")
    if blessing is None:
        found.append(Verdict(False, "not evaluated"))
    else:
        blessed = bool(blessing.properties.get("blessed"))
        found.append(Verdict(blessed, "blessed" if blessed else "not blessed"))
    done = pushed is not None and bool(pushed.properties.get("pushed"))
    version = (
        f" as version {pushed.properties['pushed_version']}" if pushed and "pushed_version" in pushed.properties else ""
    )
    found.append(Verdict(done, f"pushed{version}" if done else "not pushed"))
    return found


def took(record: RunRecord) -> str:
    """How long the run took, in words; and where results of earlier runs were used again, how long making all took."""
    here = duration(sum(step.seconds for step in record.steps if step.state != REUSED))
    if not any(step.state == REUSED for step in record.steps):
        return f"{here} in all"
    whole = duration(sum(step.seconds for step in record.steps))
    reused = sum(step.state == REUSED for step in record.steps)
    return f"{here}, with the results of {reused} components used again; making all of them took {whole}"


def pushed_to(record: RunRecord) -> str | None:
    """Where the model was pushed, or None."""
    pushed = record.artifact("PushedModel")
    return pushed.properties.get("pushed_destination") if pushed and pushed.properties.get("pushed") else None


def class_counts(record: RunRecord, num_classes: int) -> dict[str, np.ndarray]:
    """Split → images of each class, ``[K]``; labels outside the classes are not counted."""
    examples = record.artifact("Examples")
    counts = {}
    for split in data_sections.split_names(examples) if examples else []:
        labels = read_labels(split_files(examples.uri, split)) if examples else np.zeros([0], np.int64)
        counts[split] = np.bincount(labels[(labels >= 0) & (labels < num_classes)], minlength=num_classes)
    return counts


def collect_saccades(
    record: RunRecord,
    class_names: Sequence[str],
    pyramid_root: str | os.PathLike[str] | None,
    sheet_rows: int,
    max_answers: int,
) -> dict[str, Any]:
    """Sheets of right and wrong answers, and the calibration over all answers.

    The images are of the split ``test`` where there is one, else of ``eval``.
    """
    nothing: dict[str, Any] = {
        "pictures": {},
        "calibration": None,
        "answered": 0,
        "answered_split": "",
        "no_saccades": "No model was trained.",
    }
    model, examples = record.artifact("Model"), record.artifact("Examples")
    if model is None or examples is None:
        return nothing
    splits = data_sections.split_names(examples)
    split = next((name for name in ("test", "eval") if name in splits), splits[-1])
    found = answering.read_answers(
        files.join(model.uri, "Format-Serving"), split_files(examples.uri, split), limit=max_answers
    )
    if not found:
        return {**nothing, "no_saccades": f"The model could read no image of the split {split}."}
    probabilities = np.stack([answer.probabilities for answer in found])
    labels = np.array([answer.record.label for answer in found])
    pictures = {}
    for name, chosen in zip(("right", "wrong"), answering.choose(found, sheet_rows), strict=True):
        saccades = answering.to_saccades(chosen, pyramid_root, class_names) if pyramid_root is not None else []
        if saccades:
            with tempfile.TemporaryDirectory() as folder:
                pictures[name] = write_saccade_sheet(Path(folder) / "sheet.png", saccades).read_bytes()
    return {
        "pictures": pictures,
        "calibration": calibration_of_answers(probabilities, labels),
        "answered": len(found),
        "answered_split": split,
        "no_saccades": "The images are not there, or the model does not say where it looks.",
    }


def versions() -> dict[str, str]:
    """The versions that this report was made with, which are those of the run where its lock file is the same."""
    import pyvips

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["libvips"] = ".".join(str(pyvips.version(part)) for part in range(3))
    return found


def configuration(properties: dict[str, Any]) -> str:
    """The Trainer's configuration, laid out to be read; empty where there is none."""
    try:
        custom = json.loads(properties.get("custom_config") or "null")
        nested = {key: json.loads(value) if key == "config" else value for key, value in (custom or {}).items()}
    except (json.JSONDecodeError, TypeError, AttributeError):
        return str(properties["custom_config"])
    return json.dumps(nested, indent=2, ensure_ascii=False, sort_keys=True) if nested else ""


def duration(seconds: float) -> str:
    """A time span in words.

    >>> duration(0.04), duration(7.25), duration(83), duration(3723)
    ('0.04 s', '7.2 s', '1 min 23 s', '1 h 02 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def number(value: float) -> str:
    """A metric with four digits; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def picture(png: bytes) -> dict[str, Any]:
    """A PNG as the template takes it: as a data URI, and how wide it is shown, in CSS pixels of 1/96 inch."""
    width_px = int.from_bytes(png[16:20], "big")
    return {
        "uri": f"data:image/png;base64,{base64.b64encode(png).decode()}",
        "width": round(width_px * 96 / charts.DOTS_PER_INCH),
    }


@click.command()
@click.argument("metadata", type=click.Path(path_type=Path))
@click.argument("pipeline")
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--run", "run_id", help="The run; the latest one if left out.")
@click.option("--pyramids", help="Root of the pyramids, for the saccade sheets.")
def main(metadata: Path, pipeline: str, destination: Path, run_id: str | None, pyramids: str | None) -> None:
    """Writes the report of a run of PIPELINE, known to the ML Metadata file METADATA, to DESTINATION."""
    with one_sentence():
        record = read_run(metadata, pipeline, run_id)
        teach_tensorflow(*(artifact.uri for step in record.steps for artifact in step.outputs))
        click.echo(write_report(destination, record, recorded_class_names(record), pyramid_root=pyramids))


def recorded_class_names(record: RunRecord) -> list[str]:
    """The class names that the Trainer was given; numbers where it was given none."""
    trainer = record.step("Trainer")
    try:
        custom = json.loads((trainer.properties if trainer else {}).get("custom_config") or "null") or {}
        return [str(name) for name in json.loads(custom["config"])["class_names"]]
    except (KeyError, TypeError, json.JSONDecodeError):
        return [str(label) for label in range(_labels(record))]


def _labels(record: RunRecord) -> int:
    examples = record.artifact("Examples")
    splits = data_sections.split_names(examples) if examples else []
    highest = [read_labels(split_files(examples.uri, split)).max(initial=0) for split in splits] if examples else []
    return int(max(highest, default=0)) + 1


if __name__ == "__main__":
    main()
