"""Metrics that this project adds to TFMA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorflow_model_analysis.metrics import metric_types, metric_util, multi_class_confusion_matrix_metrics

SKILL, BALANCED_ACCURACY = "accuracy_above_guessing", "balanced_accuracy"
COUNT_ERROR, WITHIN_ONE = "mean_absolute_count_error", "accuracy_within_one"
Confusion = Mapping[tuple[int, int], float]


def skill(confusion: Confusion) -> float:
    """Accuracy minus the share of the largest class: how much better a model is than the best constant answer.

    Args:
      confusion: (true class, predicted class) → weight.

    >>> skill({(0, 0): 6.0, (1, 0): 4.0})
    0.0
    >>> skill({(0, 0): 5.0, (0, 1): 1.0, (1, 1): 4.0})
    0.3
    """
    of_class: dict[int, float] = {}
    for (actual, _), weight in confusion.items():
        of_class[actual] = of_class.get(actual, 0.0) + weight
    total = sum(of_class.values())
    right = sum(weight for (actual, predicted), weight in confusion.items() if actual == predicted)
    return round((right - max(of_class.values(), default=0.0)) / total, 12) if total else 0.0


def count_error(confusion: Confusion) -> float:
    """Mean distance of the predicted class from the true one, where classes are counts.

    Args:
      confusion: (true class, predicted class) → weight.

    >>> count_error({(0, 0): 6.0, (1, 3): 4.0})
    0.8
    """
    return _mean(confusion, lambda actual, predicted: abs(actual - predicted))


def within_one(confusion: Confusion) -> float:
    """Share of the images whose predicted class is at most one away from the true one, where classes are counts.

    Args:
      confusion: (true class, predicted class) → weight.

    >>> within_one({(0, 0): 5.0, (1, 2): 3.0, (1, 3): 2.0})
    0.8
    """
    return _mean(confusion, lambda actual, predicted: abs(actual - predicted) <= 1)


def balanced_accuracy(confusion: Confusion) -> float:
    """The mean over the classes that occur of the share of their images that is answered right.

    Args:
      confusion: (true class, predicted class) → weight.

    >>> balanced_accuracy({(0, 0): 9.0, (0, 1): 1.0, (1, 0): 1.0, (1, 1): 1.0})
    0.7
    """
    of_class: dict[int, float] = {}
    for (actual, _), weight in confusion.items():
        of_class[actual] = of_class.get(actual, 0.0) + weight
    shares = [confusion.get((label, label), 0.0) / weight for label, weight in of_class.items() if weight > 0.0]
    return round(sum(shares) / len(shares), 12) if shares else 0.0


def _mean(confusion: Confusion, value: Callable[[int, int], float]) -> float:
    total = sum(confusion.values())
    summed = sum(weight * value(actual, predicted) for (actual, predicted), weight in confusion.items())
    return round(summed / total, 12) if total else 0.0


class _OfConfusion(metric_types.Metric):
    """A number that follows from the confusion matrix.

    Args:
      measure: (true class, predicted class) → weight; → the number.
      name: The metric's name.
    """

    def __init__(self, measure: Callable[[Confusion], float], name: str) -> None:
        def computations(
            name: str,
            eval_config: Any = None,
            model_name: str = "",
            output_name: str = "",
            example_weighted: bool = False,
        ) -> list[Any]:
            matrices = multi_class_confusion_matrix_metrics.multi_class_confusion_matrices(
                thresholds=[-1.0],  # every example has a prediction
                name=f"_{name}_matrix",
                eval_config=eval_config,
                model_name=model_name,
                output_name=output_name,
                example_weighted=example_weighted,
            )
            matrix_key = matrices[-1].keys[-1]
            key = metric_types.MetricKey(
                name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
            )

            def result(metrics: Mapping[Any, Any]) -> dict[Any, float]:
                return {key: measure(metrics[matrix_key].get(-1.0, {}))}

            return [*matrices, metric_types.DerivedMetricComputation(keys=[key], result=result)]

        super().__init__(metric_util.merge_per_key_computations(computations), name=name)


class AccuracyAboveGuessing(_OfConfusion):
    """:func:`skill`. A model that guesses has at most 0, whatever the classes' shares are.

    Args:
      name: The metric's name.
      code: Digest of this module's code. TFMA does not use it; as a part of the evaluation's configuration it tells
        TFX's cache that the metric has changed.
    """

    def __init__(self, name: str = SKILL, code: str = "") -> None:
        del code
        super().__init__(skill, name)


class BalancedAccuracy(_OfConfusion):
    """:func:`balanced_accuracy`: every class counts alike, however rare it is.

    Arguments as those of :class:`AccuracyAboveGuessing`.
    """

    def __init__(self, name: str = BALANCED_ACCURACY, code: str = "") -> None:
        del code
        super().__init__(balanced_accuracy, name)


class MeanAbsoluteCountError(_OfConfusion):
    """:func:`count_error`; arguments as those of :class:`AccuracyAboveGuessing`."""

    def __init__(self, name: str = COUNT_ERROR, code: str = "") -> None:
        del code
        super().__init__(count_error, name)


class AccuracyWithinOne(_OfConfusion):
    """:func:`within_one`; arguments as those of :class:`AccuracyAboveGuessing`."""

    def __init__(self, name: str = WITHIN_ONE, code: str = "") -> None:
        del code
        super().__init__(within_one, name)


OF_COUNTS = (MeanAbsoluteCountError, AccuracyWithinOne)
for _metric in (AccuracyAboveGuessing, BalancedAccuracy, *OF_COUNTS):
    metric_types.register_metric(_metric)
