"""The rules of TensorFlow Serving's REST documentation and converter for ``:classify`` and ``:regress``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.rest.rules_model import ask
from tests.server.rest.test_predict_table import same, with_signature

ANSWERED: dict[str, tuple[str, str, str, Any]] = {
    "a float": ("regress", "regress", '{"examples": [{"x": 2.5}]}', [2.5]),
    "several Examples": ("regress", "regress", '{"examples": [{"x": 1.5}, {"x": -2.0}]}', [1.5, -2.0]),
    "a column": ("regress", "regress_column", '{"examples": [{"x": 2.5}]}', [2.5]),
    "a whole number is an int64": ("regress", "regress", '{"examples": [{"n": 3}]}', [3.0]),
    "true is 1": ("regress", "regress", '{"examples": [{"n": true}, {"n": false}]}', [1.0, 0.0]),
    "a list": ("regress", "regress", '{"examples": [{"list": [1.5, 2.5, 3.0]}]}', [7.0]),
    "a list of one": ("regress", "regress", '{"examples": [{"x": [2.5]}]}', [2.5]),
    "an empty list": ("regress", "regress", '{"examples": [{"list": [], "x": 1.0}]}', [1.0]),
    "no features": ("regress", "regress", '{"examples": [{}]}', [0.0]),
    "a feature that the model has not": ("regress", "regress", '{"examples": [{"z": "a", "x": 1.0}]}', [1.0]),
    "a context": ("regress", "regress", '{"context": {"offset": 0.5}, "examples": [{"x": 1.0}, {}]}', [1.5, 0.5]),
    "not finite": ("regress", "regress", '{"examples": [{"x": NaN}, {"x": Infinity}]}', [float("nan"), float("inf")]),
    "digits as they were": ("regress", "regress", '{"examples": [{"x": 0.2}]}', [0.2]),
    "labels and scores": (
        "classify",
        "classify",
        '{"examples": [{"s": "a", "x": 0.25}, {"s": "b", "x": 2.0}]}',
        [[["a", 0.25], ["other", -0.25]], [["b", 2.0], ["other", -2.0]]],
    ),
    "base64": ("classify", "labels", '{"examples": [{"s": {"b64": "aGVsbG8="}}]}', [[["hello", 0.0]]]),
    "scores alone": ("classify", "scores", '{"examples": [{"x": 1.0}]}', [[["", 1.0]]]),
    "labels alone": ("classify", "labels", '{"examples": [{"s": "ä"}]}', [[["ä", 0.0]]]),
}

REFUSED: dict[str, tuple[str, str, str, int, str]] = {
    "no examples": ("classify", "scores", '{"instances": [1]}', 400, "key 'examples' is expected and was not found"),
    "examples that are no list": ("classify", "scores", '{"examples": {}}', 400, "value to be an list/array"),
    "an empty list": ("regress", "regress", '{"examples": []}', 400, "value is an empty array"),
    "an Example that is a number": ("regress", "regress", '{"examples": [1]}', 400, "Example must be JSON object but"),
    "a context that is a list": ("regress", "regress", '{"context": [], "examples": [{}]}', 400, "got JSON Array"),
    "null": ("regress", "regress", '{"examples": [{"x": null}]}', 400, "unexpected JSON type: Null"),
    "null in a list": (
        "regress",
        "regress",
        '{"examples": [{"list": [1.0, null]}]}',
        400,
        "unexpected JSON type: Null",
    ),
    "a list in a list": ("regress", "regress", '{"examples": [{"list": [[1.0]]}]}', 400, "unexpected JSON type: Array"),
    "an object": ("regress", "regress", '{"examples": [{"x": {"a": 1}}]}', 400, "unexpected JSON type: Object"),
    "kinds that mix": (
        "regress",
        "regress",
        '{"examples": [{"list": [1.0, 2]}]}',
        400,
        "feature: list expecting type: float",
    ),
    "text among numbers": (
        "regress",
        "regress",
        '{"examples": [{"n": [1, "a"]}]}',
        400,
        "feature: n expecting type: int64",
    ),
    "a number among text": (
        "classify",
        "labels",
        '{"examples": [{"s": ["a", 1]}]}',
        400,
        "feature: s expecting type: bytes",
    ),
    "above int64": (
        "regress",
        "regress",
        '{"examples": [{"n": 9223372036854775808}]}',
        400,
        "Only int64_t is supported",
    ),
    "too big for a float": ("regress", "regress", '{"examples": [{"x": 1e39}]}', 400, "too big for its type"),
    "not base64": ("classify", "labels", '{"examples": [{"s": {"b64": "*"}}]}', 400, "Unable to base64 decode"),
    "a name that is no string": (
        "regress",
        "",
        '{"signature_name": 1, "examples": [{}]}',
        400,
        "must be a string value",
    ),
    "no such signature": ("regress", "nope", '{"examples": [{}]}', 400, "No signature was found with the name: nope"),
    "the default one, which takes no Examples": ("classify", "", '{"examples": [{}]}', 400, "No classification inputs"),
    "another input's name": ("classify", "other_input", '{"examples": [{}]}', 400, "No classification inputs found"),
    "another output's name": ("regress", "other_output", '{"examples": [{}]}', 400, "outputs to contain"),
    "three outputs": (
        "classify",
        "three_outputs",
        '{"examples": [{}]}',
        400,
        "Expected one or two output Tensors, found 3",
    ),
    "two outputs": ("regress", "classify", '{"examples": [{}]}', 400, "Expected one output Tensor"),
    "two inputs": ("regress", "two", '{"examples": [{}]}', 400, "Expected one input Tensor."),
    "two values per Example": (
        "regress",
        "regress_two",
        '{"examples": [{}]}',
        400,
        "either [batch_size] or [batch_size, 1]",
    ),
    "scores without classes": ("classify", "flat_scores", '{"examples": [{}]}', 400, "[batch_size num_classes]"),
    "fewer scores than Examples": (
        "classify",
        "one_score_in_all",
        '{"examples": [{}, {}]}',
        400,
        "batch size of 2. Got: 1",
    ),
    "a value of another kind than the model's": ("regress", "regress", '{"examples": [{"x": 1}]}', 400, "x"),
    "nothing": ("classify", "", "", 400, "JSON Parse error: The document is empty"),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_examples_are_answered(rules_port, case):
    method, signature, body, wanted = ANSWERED[case]
    code, answer, _ = ask(rules_port, "POST", f"/v1/models/rules:{method}", with_signature(signature, body))
    assert (code, answer.keys()) == (200, {"results"}), answer
    assert same(answer["results"], wanted), answer


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_example_is_refused(rules_port, case):
    method, signature, body, wanted, part = REFUSED[case]
    code, answer, _ = ask(rules_port, "POST", f"/v1/models/rules:{method}", with_signature(signature, body))
    assert (code, answer.keys()) == (wanted, {"error"}), answer
    assert part in answer["error"]
