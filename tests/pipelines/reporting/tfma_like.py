"""Results in the form that TFMA gives them."""

from pipelines.reporting import evaluation
from tfvs.data.example import HEIGHT, LABEL, WIDTH


def tfma_like():
    """What TFMA's ``load_eval_result`` gives: zeros are left out, a class id of 0 too."""
    entries = [
        {"numWeightedExamples": 3.0},
        {"predictedClassId": 1, "numWeightedExamples": 1.0},
        {"actualClassId": 1, "predictedClassId": 1, "numWeightedExamples": 2.0},
        {"actualClassId": 2, "predictedClassId": -1, "numWeightedExamples": 5.0},
    ]
    high = {"threshold": 0.5, "entries": [{"actualClassId": 2, "predictedClassId": 2, "numWeightedExamples": 9.0}]}
    metrics = {
        "example_count": {"doubleValue": 11.0},
        "sparse_categorical_accuracy": {"doubleValue": 0.75},
        "macro_average: true\n_auc": {"doubleValue": 0.875},
        "nothing": {},
        "broken": {"doubleValue": "NaN"},
    }
    plots = {
        evaluation.CONFUSION: {"matrices": [high, {"entries": entries}]},
        evaluation.CALIBRATION: {
            "buckets": [
                {"lowerThresholdInclusive": "-Infinity", "numWeightedExamples": 0.0},
                {"numWeightedExamples": 4.0, "totalWeightedLabel": 1.0, "totalWeightedRefinedPrediction": 0.8},
                {"numWeightedExamples": 6.0, "totalWeightedLabel": 6.0, "totalWeightedRefinedPrediction": 5.4},
            ]
        },
    }
    slices = [
        (((LABEL, 10),), {"": {"": {"example_count": {"doubleValue": 1.0}}}}),
        (((LABEL, 2),), {"": {"": {"example_count": {"doubleValue": 5.0}, "auc": {"doubleValue": 0.0}}}}),
        (((WIDTH, 640), (HEIGHT, 480)), {"": {"": {"example_count": {"doubleValue": 2.0}}}}),
        ((), {"": {"": metrics}}),
    ]
    return slices, [((), {"": {"": plots}})]
