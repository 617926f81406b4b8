"""``examples`` of REST classify and regress requests → tf.Examples, and their results → JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from tfvs.server.rest.json_format import NamedFloat, bytes_from_json, is_base64, json_type, shown, to_bytes
from tfvs.server.rest.json_outputs import shortest_decimals
from tfvs.server.status import invalid

EXAMPLES, CONTEXT = "examples", "context"
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def examples_from_json(request: Mapping[str, Any]) -> input_pb2.Input:
    """Reads the Examples of a classify or regress request.

    Args:
      request: The parsed body: ``examples``, and perhaps a ``context`` that they share.

    Raises:
      RequestError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    parsed = input_pb2.Input()
    target = parsed.example_list
    if CONTEXT in request:
        _fill_example(parsed.example_list_with_context.context, request[CONTEXT])
        target = parsed.example_list_with_context
    if EXAMPLES not in request:
        what = f"When method is classify, key '{EXAMPLES}' is expected and was not found"
        raise invalid(f"JSON Value: {shown(request)} {what}")
    examples = request[EXAMPLES]
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {shown(request)} Expecting '{EXAMPLES}' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {shown(request)} '{EXAMPLES}' value is an empty array")
    for example in examples:
        _fill_example(target.examples.add(), example)
    return parsed


def json_from_classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """Label and score of each class, one list per Example."""
    rows = []
    for classification in result.classifications:
        scores = shortest_decimals(np.array([found.score for found in classification.classes], np.float32)).tolist()
        rows.append([[found.label, score] for found, score in zip(classification.classes, scores, strict=True)])
    return to_bytes({"results": rows})


def json_from_regressions(result: regression_pb2.RegressionResult) -> bytes:
    """One value per Example."""
    values = np.array([regression.value for regression in result.regressions], np.float32)
    return to_bytes({"results": shortest_decimals(values).tolist()})


def _fill_example(example: tf.train.Example, value: Any) -> None:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_type(value)}")
    for name, content in value.items():
        feature = example.features.feature[_utf8(name)]
        feature.SetInParent()
        for item in content if isinstance(content, list) else [content]:
            _add_value(feature, name, item)


def _add_value(feature: tf.train.Feature, name: str, value: Any) -> None:
    """Adds one value to the list of its kind; all values of a feature are of one kind."""
    if isinstance(value, str) or is_base64(value):
        _list_of(feature, name, "bytes_list").append(bytes_from_json(value))
    elif isinstance(value, int):  # true and false too
        if not -(2**63) <= value < 2**63:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        _list_of(feature, name, "int64_list").append(int(value))
    elif isinstance(value, float):
        if not isinstance(value, NamedFloat) and abs(value) > _LARGEST_FLOAT:
            raise invalid(f"Feature: {name} has the element {value!r}, which is too big for its type, float.")
        _list_of(feature, name, "float_list").append(value)
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")


def _list_of(feature: tf.train.Feature, name: str, kind: str) -> Any:
    found = feature.WhichOneof("kind")
    if found not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[found]}")
    return getattr(feature, kind).value


def _utf8(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise invalid(f"The name of a feature is not UTF-8: {shown(name)}") from error
    return name
