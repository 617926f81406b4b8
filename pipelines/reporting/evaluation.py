"""What TFMA measured, with the classes called by their names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfvs.data.example import HEIGHT, LABEL, WIDTH
from tfvs.evaluation.calibration import Calibration
from tfvs.preparation import files
from tfvs.viz.charts import words

CONFUSION = "multiClassConfusionMatrixAtThresholds"
CALIBRATION = "calibrationHistogramBuckets"
COUNT = "example_count"
# These compare classes with each other, so they say nothing of one class alone.
BETWEEN_CLASSES = ("auc", "accuracy_above_guessing", "balanced_accuracy")


@dataclass(frozen=True)
class SliceRow:
    """One slice's metrics.

    Attributes:
      name: In words; empty for all examples.
      feature: What the slice is by: ``"class"``, ``"image size"`` or a feature's name; empty for all examples.
      examples: How many there are.
      metrics: Name → value.
    """

    name: str
    feature: str
    examples: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ClassRow:
    """One class in the confusion matrix. A share of nothing is not a number."""

    name: str
    examples: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model.

    Attributes:
      slices: All examples first.
      confusion: ``[K, K]`` counts, true class by predicted class; None where TFMA kept none.
      calibration: None where TFMA kept none.
      failures: The thresholds that were missed, in words.
    """

    slices: Sequence[SliceRow]
    confusion: np.ndarray | None
    calibration: Calibration | None
    failures: Sequence[str]


def read_evaluation(uri: str, class_names: Sequence[str]) -> Evaluation:
    """Reads a ``ModelEvaluation`` artifact. Importing TFMA takes seconds.

    Args:
      uri: Where it lies.
      class_names: In the order of the labels.
    """
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(uri)
    has_thresholds = bool(files.match(uri, "validations*"))  # written where the evaluation has thresholds
    failures = threshold_failures(tfma.load_validation_result(uri), class_names) if has_thresholds else []
    return summarise(result.slicing_metrics, result.plots, class_names, failures)


def summarise(
    slicing_metrics: Sequence[tuple[Any, Any]],
    plots: Sequence[tuple[Any, Any]],
    class_names: Sequence[str],
    failures: Sequence[str] = (),
) -> Evaluation:
    """Plain data out of TFMA's ``EvalResult``.

    Args:
      slicing_metrics: ``(slice key, output → sub key → metric → value)`` pairs.
      plots: The same with plots.
      class_names: In the order of the labels.
      failures: As :func:`threshold_failures` returns them.
    """
    rows = []
    for key, outputs in slicing_metrics:
        numbers = {name: _number(value) for name, value in _only(outputs).items()}
        metrics = {name: value for name, value in numbers.items() if value is not None}
        feature, name = slice_name(key, class_names)
        if feature == "class":
            metrics = {metric: value for metric, value in metrics.items() if metric not in BETWEEN_CLASSES}
        rows.append((key, SliceRow(name, feature, int(metrics.pop(COUNT, 0.0)), metrics)))
    rows.sort(key=lambda row: (len(row[0]), [(part[0], _sortable(part[1])) for part in row[0]]))
    pictures = next((_only(outputs) for key, outputs in plots if not tuple(key)), {})
    overall = next((_only(outputs) for key, outputs in slicing_metrics if not tuple(key)), {})
    matrix = pictures.get(CONFUSION) or next((v[CONFUSION] for v in overall.values() if CONFUSION in v), None)
    return Evaluation(
        slices=[row for _, row in rows],
        confusion=confusion_matrix(matrix, len(class_names)) if matrix else None,
        calibration=calibration_of_buckets(pictures[CALIBRATION]["buckets"]) if CALIBRATION in pictures else None,
        failures=failures,
    )


def _only(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The metrics of all outputs and sub keys in one; a model of this project has one output and no sub keys."""
    return {
        plain_name(name): value
        for sub_keys in outputs.values()
        for metrics in sub_keys.values()
        for name, value in metrics.items()
    }


def plain_name(name: str) -> str:
    """A metric's name without the way in which classes are averaged.

    >>> plain_name("macro_average: true\\n_auc")
    'auc'
    """
    return name.rpartition("\n")[2].removeprefix("_")


def _number(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("doubleValue", 0.0 if not value else None)
    return float(value) if isinstance(value, int | float | str) and _is_number(value) else None


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _sortable(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))


def slice_name(key: Sequence[tuple[str, Any]], class_names: Sequence[str]) -> tuple[str, str]:
    """What a slice is by, and its name.

    >>> slice_name((("image/label", 1),), ["cat", "dog"])
    ('class', 'dog')
    >>> slice_name((("image/width", 640), ("image/height", 480)), [])
    ('image size', '640 × 480 px')
    >>> slice_name((), [])
    ('', 'all')
    """
    values = dict(key)
    if not values:
        return "", "all"
    if set(values) == {LABEL}:
        return "class", _class_name(values[LABEL], class_names)
    if set(values) == {WIDTH, HEIGHT}:
        return "image size", f"{values[WIDTH]} × {values[HEIGHT]} px"
    return ", ".join(values), ", ".join(str(value) for value in values.values())


def _class_name(label: Any, class_names: Sequence[str]) -> str:
    return class_names[int(label)] if 0 <= int(label) < len(class_names) else f"label {label}"


def confusion_matrix(matrices: Mapping[str, Any], num_classes: int) -> np.ndarray:
    """Counts ``[K, K]``, true by predicted, of the lowest threshold, where every example has a prediction.

    Zeros are left out of TFMA's data: a missing class id is class 0, a missing count is 0.
    """
    lowest = min(matrices.get("matrices", [{}]), key=lambda matrix: matrix.get("threshold", 0.0))
    counts = np.zeros((num_classes, num_classes))
    for entry in lowest.get("entries", []):
        actual, predicted = int(entry.get("actualClassId", 0)), int(entry.get("predictedClassId", 0))
        if 0 <= actual < num_classes and 0 <= predicted < num_classes:  # -1: no class above the threshold
            counts[actual, predicted] += float(entry.get("numWeightedExamples", 0.0))
    return counts


def class_rows(confusion: np.ndarray, class_names: Sequence[str]) -> list[ClassRow]:
    """Precision, recall and F1 of every class."""
    rows = []
    for index, name in enumerate(class_names):
        hits, truly, said = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
        precision = float(hits / said) if said else math.nan
        recall = float(hits / truly) if truly else math.nan
        f1 = float(2 * hits / (truly + said)) if truly + said else math.nan
        rows.append(ClassRow(name, int(truly), precision, recall, f1))
    return rows


def calibration_of_buckets(buckets: Sequence[Mapping[str, Any]]) -> Calibration:
    """Calibration over the probabilities of all classes, from TFMA's buckets."""
    filled = [bucket for bucket in buckets if float(bucket.get("numWeightedExamples", 0.0)) > 0]
    counts = [float(bucket["numWeightedExamples"]) for bucket in filled]
    stated = [
        float(bucket.get("totalWeightedRefinedPrediction", 0.0)) / n for bucket, n in zip(filled, counts, strict=True)
    ]
    observed = [float(bucket.get("totalWeightedLabel", 0.0)) / n for bucket, n in zip(filled, counts, strict=True)]
    return Calibration(stated, observed, counts, "the probabilities of all classes")


def threshold_failures(validation: Any, class_names: Sequence[str]) -> list[str]:
    """The thresholds that a model missed, in words, from TFMA's ``ValidationResult``."""
    failures = []
    for of_slice in validation.metric_validations_per_slice:
        key = [(part.column, getattr(part, part.WhichOneof("kind"))) for part in of_slice.slice_key.single_slice_keys]
        feature, name = slice_name(key, class_names)
        where = f" of {feature} {name}" if feature else ""
        for failure in of_slice.failures:
            value = failure.metric_value.double_value.value
            failures.append(
                f"{words(failure.metric_key.name)}{where} is {value:.4g}; {_threshold(failure.metric_threshold)}"
            )
    if not validation.validation_ok and not failures:
        failures.append("The thresholds could not be checked: a metric, a slice or the baseline is missing.")
    return sorted(failures)


def _threshold(threshold: Any) -> str:
    parts = []
    if threshold.HasField("value_threshold"):
        bounds = threshold.value_threshold
        if bounds.HasField("lower_bound"):
            parts.append(f"at least {bounds.lower_bound.value:g} is asked for")
        if bounds.HasField("upper_bound"):
            parts.append(f"at most {bounds.upper_bound.value:g} is allowed")
    if threshold.HasField("change_threshold"):
        change = threshold.change_threshold
        for kind in ("absolute", "relative"):
            if change.HasField(kind):
                parts.append(
                    f"a change of {getattr(change, kind).value:g} ({kind}) from the last blessed model is allowed"
                )
    return ", ".join(parts)
