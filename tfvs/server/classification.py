"""Classify and Regress of TensorFlow Serving, for signatures exported with those methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, input_pb2, model_pb2, regression_pb2

from tfvs.server.predictor import Answer, Predictor
from tfvs.server.servable import DEFAULT_SIGNATURE, Arrays
from tfvs.server.status import invalid

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_KINDS = {CLASSIFY: "classification", REGRESS: "regression"}
CLASSES, SCORES, OUTPUTS = "classes", "scores", "outputs"


def run(
    predictor: Predictor,
    spec: model_pb2.ModelSpec,
    examples: input_pb2.Input,
    method: str,
    is_active: Callable[[], bool],
) -> Answer:
    """Runs Examples through a signature of the method.

    Raises:
      RequestError: INVALID_ARGUMENT for a signature of another method, or no Examples.
    """
    servable = predictor.servable(spec)
    name = spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise invalid(f"No signature was found with the name: {name}")
    signature = servable.signatures[name]
    if signature.method_name != method:
        raise invalid(f"Expected {_KINDS[method]} signature method_name to be {method}. Was: {signature.method_name}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    serialized = np.array([example.SerializeToString() for example in _examples(examples)], object)
    if not serialized.size:
        raise invalid("Input is empty.")
    key = next(iter(signature.inputs))
    return predictor.predict_protos(spec, {key: tf.make_tensor_proto(serialized)}, (), is_active)


def fill_classifications(result: classification_pb2.ClassificationResult, outputs: Arrays) -> None:
    """Writes class labels and scores, one row an Example."""
    classes, scores = outputs.get(CLASSES), outputs.get(SCORES)
    shapes = {value.shape for value in (classes, scores) if value is not None}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise invalid(f"Expected outputs {CLASSES} and {SCORES} of one shape [batch, classes]. Was: {sorted(shapes)}")
    rows, columns = shapes.pop()
    for row in range(rows):
        classification = result.classifications.add()
        for column in range(columns):
            found = classification.classes.add()
            if classes is not None:
                found.label = classes[row, column].decode(errors="replace")
            if scores is not None:
                found.score = float(scores[row, column])


def fill_regressions(result: regression_pb2.RegressionResult, outputs: Arrays) -> None:
    """Writes one value an Example."""
    if OUTPUTS not in outputs:
        raise invalid(f"Expected an output {OUTPUTS}. Was: {sorted(outputs)}")
    for value in outputs[OUTPUTS].reshape(len(outputs[OUTPUTS]), -1)[:, 0]:
        result.regressions.add(value=float(value))


def _examples(examples: input_pb2.Input) -> list[tf.train.Example]:
    if examples.WhichOneof("kind") == "example_list_with_context":
        context = examples.example_list_with_context.context
        merged = []
        for example in examples.example_list_with_context.examples:
            joined = tf.train.Example.FromString(context.SerializeToString())
            joined.MergeFrom(example)
            merged.append(joined)
        return merged
    return list(examples.example_list.examples)
