"""Classify and Regress of TensorFlow Serving: tf.Examples in, labels with scores or values out.

A signature takes part by the names of its input (``inputs``) and outputs (``classes`` and ``scores``, or ``outputs``).
The method name that TensorFlow 1 wrote into it counts only with ``--enable_signature_method_name_check``, since
TensorFlow 2 writes none.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, model_pb2, regression_pb2

from tfvs.server.caller import Caller
from tfvs.server.predictor import Answer, Predictor
from tfvs.server.servable import DEFAULT_SIGNATURE, Arrays
from tfvs.server.status import invalid, unimplemented

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"


def classify(
    predictor: Predictor, spec: model_pb2.ModelSpec, examples: input_pb2.Input, caller: Caller
) -> tuple[Answer, classification_pb2.ClassificationResult]:
    """Runs Examples through a signature with the outputs ``classes``, ``scores`` or both.

    Raises:
      RequestError: INVALID_ARGUMENT: no such signature, one that does not classify, or no Examples.
    """
    answer, count = _run(predictor, spec, examples, CLASSIFY, caller)
    result = classification_pb2.ClassificationResult()
    _fill_classifications(result, answer.outputs, count)
    return answer, result


def regress(
    predictor: Predictor, spec: model_pb2.ModelSpec, examples: input_pb2.Input, caller: Caller
) -> tuple[Answer, regression_pb2.RegressionResult]:
    """Runs Examples through a signature with the output ``outputs``, one value per Example.

    Raises:
      RequestError: INVALID_ARGUMENT: no such signature, one that does not regress, or no Examples.
    """
    answer, count = _run(predictor, spec, examples, REGRESS, caller)
    values = answer.outputs[OUTPUTS]
    if values.shape not in ((count,), (count, 1)) or values.dtype != np.float32:
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] of DT_FLOAT, "
            f"batch_size {count}, but got {list(values.shape)} of {values.dtype.name}"
        )
    result = regression_pb2.RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return answer, result


def infer_all(
    predictor: Predictor, request: inference_pb2.MultiInferenceRequest, caller: Caller
) -> inference_pb2.MultiInferenceResponse:
    """MultiInference: several signatures of one model over the same Examples.

    Raises:
      RequestError: INVALID_ARGUMENT or UNIMPLEMENTED, in TensorFlow Serving's words.
    """
    response = inference_pb2.MultiInferenceResponse()
    first = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
    servable = predictor.servable(first)
    seen = set()
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != first.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        spec = model_pb2.ModelSpec(name=first.name, signature_name=name)
        spec.version.value = servable.version  # a new version that loads meanwhile answers none of the tasks
        inferred = inference_pb2.InferenceResult()
        if task.method_name == CLASSIFY:
            answer, classified = classify(predictor, spec, request.input, caller)
            inferred.classification_result.CopyFrom(classified)
        elif task.method_name == REGRESS:
            answer, regressed = regress(predictor, spec, request.input, caller)
            inferred.regression_result.CopyFrom(regressed)
        else:
            raise unimplemented(f"Unsupported signature method_name: {task.method_name}")
        answer.describe(inferred.model_spec)
        response.results.append(inferred)
    return response


def _run(
    predictor: Predictor, spec: model_pb2.ModelSpec, examples: input_pb2.Input, method: str, caller: Caller
) -> tuple[Answer, int]:
    """The signature's outputs, and how many Examples there were."""
    servable = predictor.servable(spec)
    name = spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise invalid(f"No signature was found with the name: {name}")
    outputs = _check_signature(servable.signatures[name], method, predictor.check_method_names)
    serialized = _serialized(examples)
    if not serialized:
        raise invalid("Input is empty.")
    proto = tf.make_tensor_proto(np.array(serialized, object))
    return predictor.predict_protos(spec, {INPUTS: proto}, outputs, caller), len(serialized)


def _check_signature(signature: meta_graph_pb2.SignatureDef, method: str, check_method_name: bool) -> list[str]:
    """The outputs that the method reads.

    Raises:
      RequestError: INVALID_ARGUMENT, the signature does not fit the method.
    """
    kind = "classification" if method == CLASSIFY else "regression"
    if check_method_name and signature.method_name != method:
        raise invalid(f"Expected {kind} signature method_name to be {method}. Was: {signature.method_name}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in ((1, 2) if method == CLASSIFY else (1,)):
        expected = "one or two output Tensors" if method == CLASSIFY else "one output Tensor"
        raise invalid(f"Expected {expected}, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise invalid(f"No {kind} inputs found in SignatureDef: it has {', '.join(signature.inputs)}, not {INPUTS}")
    found = [key for key in ((CLASSES, SCORES) if method == CLASSIFY else (OUTPUTS,)) if key in signature.outputs]
    if not found:
        expected = f'at least one of "{CLASSES}" or "{SCORES}"' if method == CLASSIFY else f'"{OUTPUTS}"'
        has = ", ".join(sorted(signature.outputs))
        raise invalid(f"Expected {kind} signature outputs to contain {expected}. Signature was: {has}")
    return found


def _fill_classifications(result: classification_pb2.ClassificationResult, outputs: Arrays, count: int) -> None:
    classes, scores = outputs.get(CLASSES), outputs.get(SCORES)
    for name, values, dtype in ((CLASSES, classes, np.dtype(object)), (SCORES, scores, np.dtype(np.float32))):
        if values is None:
            continue
        if values.ndim != 2 or values.dtype != dtype:
            kind = "DT_STRING" if name == CLASSES else "DT_FLOAT"
            raise invalid(
                f"Expected {name} Tensor of {kind} and shape: [batch_size num_classes] but got {list(values.shape)} "
                f"of {values.dtype.name}"
            )
        if len(values) != count:
            raise invalid(f"Expected {name} output batch size of {count}. Got: {len(values)}")
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    labels = _labels(classes) if classes is not None else None
    for row in range(count):
        classification = result.classifications.add()
        for column in range((scores if classes is None else classes).shape[1]):  # type: ignore[union-attr]
            found = classification.classes.add()
            if labels is not None:
                found.label = labels[row][column]
            if scores is not None:
                found.score = float(scores[row, column])


def _labels(classes: np.ndarray) -> list[list[str]]:
    try:
        return [[label.decode() for label in row] for row in classes.tolist()]
    except UnicodeDecodeError as error:
        raise invalid(f"A class label is not UTF-8: {error.object!r}; Predict gives it as bytes") from error


def _serialized(examples: input_pb2.Input) -> list[bytes]:
    """Each Example as bytes; a context stands before each, which merges the two when they are parsed."""
    if examples.WhichOneof("kind") == "example_list_with_context":
        listed = examples.example_list_with_context
        context = listed.context.SerializeToString()
        return [context + example.SerializeToString() for example in listed.examples]
    return [example.SerializeToString() for example in examples.example_list.examples]
