"""The configuration of TFMA: metrics, slices, and the thresholds for a push."""

from __future__ import annotations

import json

import tensorflow_model_analysis as tfma

from pipelines import metrics as own_metrics
from tfvs.code_digest import code_digest
from tfvs.data import example as contract


def make_eval_config(
    *,
    num_classes: int,
    minimum_accuracy: float,
    minimum_skill: float,
    maximum_drop: float,
    minimum_balanced_accuracy: float = 0.0,
    counts: bool = False,
) -> tfma.EvalConfig:
    """Metrics on the exported model's ``serving_default``.

    Args:
      num_classes: K.
      minimum_accuracy: Value threshold.
      minimum_skill: Value threshold of the accuracy above guessing; see :mod:`pipelines.metrics`.
      maximum_drop: Change threshold against the last blessed model.
      minimum_balanced_accuracy: Value threshold of the mean over the classes of their shares of right answers.
      counts: Whether the classes are counts from 0, of which the error is measured too.
    """
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": minimum_accuracy}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -maximum_drop}
        ),
    )
    metrics = [
        tfma.MetricConfig(class_name="ExampleCount"),
        tfma.MetricConfig(class_name="SparseCategoricalAccuracy", per_slice_thresholds=[_overall(threshold)]),
        _own(own_metrics.AccuracyAboveGuessing, minimum_skill),
        _own(own_metrics.BalancedAccuracy, minimum_balanced_accuracy),
        *(_own(metric) for metric in own_metrics.OF_COUNTS if counts),
        tfma.MetricConfig(class_name="SparseCategoricalCrossentropy"),
        # The confusion matrix is a metric: TFMA loads one plot per slice, and that is the calibration.
        tfma.MetricConfig(class_name="MultiClassConfusionMatrixAtThresholds", config='{"thresholds": [0.0]}'),
        tfma.MetricConfig(class_name="CalibrationPlot", config='{"num_buckets": 10}'),
    ]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                label_key=contract.LABEL,
                model_type="tf_generic",
                signature_name="serving_default",
                prediction_key="probabilities",
            )
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            tfma.SlicingSpec(feature_keys=[contract.LABEL]),
            tfma.SlicingSpec(feature_keys=[contract.WIDTH, contract.HEIGHT]),
        ],
        metrics_specs=[
            tfma.MetricsSpec(metrics=metrics),
            # One class against the others, weighted by frequency, so that an absent class has no weight.
            tfma.MetricsSpec(
                metrics=[tfma.MetricConfig(class_name="AUC")],
                aggregate=tfma.AggregationOptions(
                    weighted_macro_average=True, class_weights=dict.fromkeys(range(num_classes), 1.0)
                ),
            ),
        ],
    )


def _own(metric: type, minimum: float | None = None) -> tfma.MetricConfig:
    """One of this project's metrics, with a value that it must reach where ``minimum`` is given."""
    thresholds = []
    if minimum is not None:
        bound = tfma.GenericValueThreshold(lower_bound={"value": minimum})
        thresholds.append(_overall(tfma.MetricThreshold(value_threshold=bound)))
    return tfma.MetricConfig(
        class_name=metric.__name__,
        module=own_metrics.__name__,
        config=json.dumps({"code": code_digest(own_metrics.__name__)}),
        per_slice_thresholds=thresholds,
    )


def _overall(threshold: tfma.MetricThreshold) -> tfma.PerSliceMetricThreshold:
    """A threshold for the whole split only; a plain threshold would apply to every slice as well."""
    return tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
