"""The rules of TensorFlow Serving's REST documentation and converter for ``:predict``, one line per rule.

A line is a signature, a body, and what is answered: a JSON value with code 200, or the code and a part of the error.
Lines of DIFFERENT are the ones where this server refuses what TensorFlow Serving changes in silence.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.server.rest.rules_model import ask

BIG = 1.7976931348623157e308
NOT_OF_TYPE = "is not of expected type: "
NAN = math.nan

ACCEPTED: dict[str, tuple[str, str, Any]] = {
    # Floats: whole numbers, decimals, exponents, and three names that are no JSON.
    "whole numbers are floats": ("float32", '{"instances": [1, 2.0, 3, 4, 5.003, 0.0]}', [1, 2, 3, 4, 5.003, 0]),
    "whole numbers are doubles": ("float64", '{"instances": [1.0, 2, 0.662, 0]}', [1, 2, 0.662, 0]),
    "exponents": ("float64", '{"instances": [1e3, 2E-2, -3e+1]}', [1000, 0.02, -30]),
    "a float loses digits": ("float32", '{"instances": [1435774380]}', [1435774340]),
    "a double keeps them": ("float64", '{"instances": [1435774380]}', [1435774380]),
    "a large integer is a double": ("float64", '{"instances": [36893488147419103232]}', [2.0**65]),
    "too small for a float is zero": ("float32", '{"instances": [2.2e-308]}', [0.0]),
    "NaN": ("float32", '{"instances": [1.0, NaN]}', [1, NAN]),
    "infinities": ("float64", '{"instances": [Infinity, -Infinity]}', [math.inf, -math.inf]),
    "negative zero": ("float32", '{"instances": [-0.0]}', [-0.0]),
    # Each integer type up to both ends.
    "int8": ("int8", '{"instances": [-128, 127]}', [-128, 127]),
    "uint8": ("uint8", '{"instances": [0, 255]}', [0, 255]),
    "int16": ("int16", '{"instances": [-32768, 32767]}', [-32768, 32767]),
    "int32": ("int32", '{"instances": [-2147483648, 2147483647]}', [-(2**31), 2**31 - 1]),
    "uint32": ("uint32", '{"instances": [0, 4294967295]}', [0, 2**32 - 1]),
    "int64": ("int64", '{"instances": [-9223372036854775808, 9223372036854775807]}', [-(2**63), 2**63 - 1]),
    "uint64": ("uint64", '{"instances": [0, 18446744073709551615]}', [0, 2**64 - 1]),
    "bool": ("bool", '{"instances": [true, false]}', [True, False]),
    # Strings and bytes.
    "string": ("string", '{"instances": ["foo", "bar", ""]}', ["foo", "bar", ""]),
    "string beyond ASCII": ("string", '{"instances": ["ä€", "\\u00e4\\ud83d\\ude00"]}', ["ä€", "ä😀"]),
    "base64": ("string", '{"instances": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}]}', ["hello", "world"]),
    "base64 in lists": ("string", '{"instances": [[{"b64": "aGVsbG8="}], ["x"]]}', [["hello"], ["x"]]),
    "base64 without padding": ("string", '{"instances": [{"b64": "aGVsbG8"}]}', ["hello"]),
    "base64 with line breaks": ("string", '{"instances": [{"b64": "aGVs\\nbG8=\\r\\n"}]}', ["hello"]),
    "base64 of nothing": ("string", '{"instances": [{"b64": ""}]}', [""]),
    "a name that ends in _bytes": ("bytes", '{"instances": ["hello"]}', [{"b64": "aGVsbG8="}]),
    "bytes that are no text": ("bytes", '{"instances": [{"b64": "AP8A"}]}', [{"b64": "AP8A"}]),
    # Shapes.
    "scalars by row": ("float32", '{"instances": [1, 2]}', [1, 2]),
    "lists by row": ("int32", '{"instances": [[[1, 2]], [[3, 4]]]}', [[[1, 2]], [[3, 4]]]),
    "named, one input": ("int32", '{"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}', [[1, 2], [3, 4]]),
    "empty rows": ("float32", '{"instances": [[], []]}', [[], []]),
    "a rank that the signature leaves open": ("float32", '{"instances": [[[[[1]]]]]}', [[[[[1]]]]]),
    # The body.
    "the default signature": ("", '{"instances": [1.5]}', [1.5]),
    "keys that nobody knows": ("float32", '{"instances": [1], "parameters": {"a": [null]}}', [1]),
    "white space": ("float32", ' \t\r\n{ "instances"\n:[ 1 ] }\n ', [1]),
    "a byte order mark": ("float32", '\ufeff{"instances": [1]}', [1]),
    # Outputs.
    "decimals come back as they went": ("float32", '{"instances": [0.1, 0.2, 5.003, 9000000, 3e-05]}', None),
    "doubles keep 17 digits": ("float64", '{"instances": [0.1234567890123456]}', [0.1234567890123456]),
}

BY_COLUMN: dict[str, tuple[str, str, Any]] = {
    "a list": ("float32", '{"inputs": [1, 2]}', [1, 2]),
    "a scalar": ("float32", '{"inputs": 3.5}', 3.5),
    "a scalar string": ("string", '{"inputs": "foo"}', "foo"),
    "a scalar in base64": ("bytes", '{"inputs": {"b64": "AP8A"}}', {"b64": "AP8A"}),
    "by name": ("int32", '{"inputs": {"x": [[[1, 2]]]}}', [[[1, 2]]]),
    "an empty list": ("float32", '{"inputs": []}', []),
    "an empty list of lists": ("int64", '{"inputs": [[], []]}', [[], []]),
    "no rows by name": ("two", '{"inputs": {"a": [[1, 2]], "s": ["x"]}}', {"a": [[1, 2]], "s": ["X"]}),
    "a scalar answer": ("sum", '{"inputs": [1, 2, 3.5]}', 6.5),
    "answers of different lengths": ("uneven", '{"inputs": [1, 2]}', {"y": [1], "z": [1, 2]}),
    "NaN": ("float32", '{"inputs": NaN}', NAN),
    "zero bytes at the end of a scalar": (
        "serialized",
        '{"inputs": [0.0]}',
        {"b64": "CAESBBICCAEiBAAAAAA="},
    ),
}

SEVERAL: dict[str, tuple[str, str, Any]] = {
    "objects": (
        "two",
        '{"instances": [{"a": [1, 2], "s": "x"}, {"s": {"b64": "eQ=="}, "a": [3, 4]}]}',
        [{"a": [1, 2], "s": "X"}, {"a": [3, 4], "s": "Y"}],
    ),
    "one object": ("two", '{"instances": [{"a": [1, 2], "s": "x"}]}', [{"a": [1, 2], "s": "X"}]),
}

REFUSED: dict[str, tuple[str, str, int, str]] = {
    # The value's type.
    "a decimal for an integer": ("int32", '{"instances": [1.7]}', 400, NOT_OF_TYPE + "int32"),
    "a whole decimal for an integer": ("int32", '{"instances": [1.0]}', 400, NOT_OF_TYPE + "int32"),
    "an exponent for an integer": ("int64", '{"instances": [1e3]}', 400, NOT_OF_TYPE + "int64"),
    "above int32": ("int32", '{"instances": [2147483648]}', 400, NOT_OF_TYPE + "int32"),
    "below int32": ("int32", '{"instances": [-2147483649]}', 400, NOT_OF_TYPE + "int32"),
    "above int64": ("int64", '{"instances": [9223372036854775808]}', 400, NOT_OF_TYPE + "int64"),
    "negative for uint32": ("uint32", '{"instances": [-1]}', 400, NOT_OF_TYPE + "uint32"),
    "negative for uint64": ("uint64", '{"instances": [-1]}', 400, NOT_OF_TYPE + "uint64"),
    "above uint64": ("uint64", '{"instances": [18446744073709551616]}', 400, NOT_OF_TYPE + "uint64"),
    "a string for a float": ("float32", '{"instances": ["1"]}', 400, "Type: String " + NOT_OF_TYPE + "float"),
    "a string for a double": ("float64", '{"instances": ["x"]}', 400, NOT_OF_TYPE + "double"),
    "a string for an integer": ("int8", '{"instances": ["1"]}', 400, NOT_OF_TYPE + "int8"),
    "a string for a bool": ("bool", '{"instances": ["false"]}', 400, NOT_OF_TYPE + "bool"),
    "a number for a bool": ("bool", '{"instances": [1]}', 400, NOT_OF_TYPE + "bool"),
    "a bool for an integer": ("int32", '{"instances": [true]}', 400, "Type: True " + NOT_OF_TYPE + "int32"),
    "a bool for a float": ("float32", '{"instances": [false]}', 400, "Type: False " + NOT_OF_TYPE + "float"),
    "a number for a string": ("string", '{"instances": [1]}', 400, NOT_OF_TYPE + "string"),
    "a bool for a string": ("string", '{"instances": [true]}', 400, NOT_OF_TYPE + "string"),
    "null for a float": ("float32", '{"instances": [1, null]}', 400, "Type: Null " + NOT_OF_TYPE + "float"),
    "null for an integer": ("int32", '{"instances": [null]}', 400, NOT_OF_TYPE + "int32"),
    "null for a string": ("string", '{"instances": [null]}', 400, NOT_OF_TYPE + "string"),
    "null for a bool": ("bool", '{"instances": [null]}', 400, NOT_OF_TYPE + "bool"),
    "NaN for an integer": ("int32", '{"instances": [NaN]}', 400, NOT_OF_TYPE + "int32"),
    "an object for a float": ("float32", '{"instances": [{"b64": "aGVsbG8="}]}', 400, "Type: Object " + NOT_OF_TYPE),
    "too big for a double": ("float64", '{"instances": [1e400]}', 400, "Number too big"),
    "an integer too big for a double": ("float64", '{"instances": [1' + 400 * "0" + "]}", 400, "Number too big"),
    "a type that JSON has not": ("half", '{"instances": [1]}', 501, "to type: float16"),
    # Base64.
    "not base64": ("string", '{"instances": [{"b64": "*"}]}', 400, "Unable to base64 decode"),
    "web-safe base64": ("string", '{"instances": [{"b64": "_-8="}]}', 400, "Unable to base64 decode"),
    "too much padding": ("string", '{"instances": [{"b64": "aGVsbG8=="}]}', 400, "Unable to base64 decode"),
    "base64 of one character": ("string", '{"instances": [{"b64": "a"}]}', 400, "Unable to base64 decode"),
    "base64 beside another key": (
        "string",
        '{"inputs": {"x": [{"b64": "eQ==", "c": 1}]}}',
        400,
        "not formatted correctly for base64",
    ),
    "base64 that is no string": (
        "string",
        '{"inputs": {"x": [{"b64": 5}]}}',
        400,
        "not formatted correctly for base64",
    ),
    # Shapes.
    "rows of different length": (
        "int32",
        '{"instances": [[1, 2], [3, 4], [5, 6, 7]]}',
        400,
        "Expecting tensor size: 2",
    ),
    "rows of different shape": ("int32", '{"instances": [[1, 2], [[3, 4]]]}', 400, "Expecting shape"),
    "a value beside a list": ("int32", '{"instances": [1, [1]]}', 400, "Expecting shape"),
    "uneven within a row": ("int32", '{"instances": [[[1, 2], [3]]]}', 400, "list at unexpected size: 1"),
    "uneven by column": ("int32", '{"inputs": [[1, 2], [3]]}', 400, "list at unexpected size: 1"),
    "a list among values": ("int32", '{"inputs": [1, [2]]}', 400, "list at unexpected level"),
    "a value among lists": ("int32", '{"inputs": [[1], 2]}', 400, "found at incorrect level"),
    # Names.
    "a plain list for two inputs": ("two", '{"instances": [1, 2]}', 400, "expecting list of objects as multiple"),
    "a plain value for two inputs": ("two", '{"inputs": [1, 2]}', 400, "expecting an object as multiple"),
    "a row without one input": ("two", '{"instances": [{"a": [1, 2]}]}', 400, "keys must be equal to: a,s"),
    "a row with an unknown input": ("two", '{"instances": [{"a": [1, 2], "z": 1}]}', 400, "not have named input: z"),
    "a later row without one": (
        "two",
        '{"instances": [{"a": [1, 2], "s": "x"}, {"a": [1, 2]}]}',
        400,
        "Failed to process element: 1 of 'instances' list",
    ),
    "a column that is missing": (
        "two",
        '{"inputs": {"a": [[1, 2]]}}',
        400,
        "Missing named input: s in 'inputs' object",
    ),
    "an object among values": (
        "string",
        '{"instances": ["x", {"x": "y"}]}',
        400,
        "value/list but got object at item 1",
    ),
    "a value among objects": ("string", '{"instances": [{"x": "y"}, "x"]}', 400, "object but got list at item 1"),
    # The body.
    "nothing": ("", "", 400, "JSON Parse error: The document is empty"),
    "no JSON": ("", "instances = [1, 2]", 400, "JSON Parse error: Invalid value"),
    "JSON that breaks off": ("", '{"instances": [1', 400, "JSON Parse error"),
    "a control character": ("string", '{"instances": ["a\nb"]}', 400, "JSON Parse error"),
    "a list": ("", "[1]", 400, "Is not object"),
    "a number": ("", "1", 400, "Is not object"),
    "neither key": ("", '{"examples": [1]}', 400, "Missing 'inputs' or 'instances' key"),
    "both keys": ("", '{"instances": [1], "inputs": [1]}', 400, "expecting only one of 'inputs' or 'instances'"),
    "instances that are no list": ("", '{"instances": {"x": [1]}}', 400, "Expecting 'instances' to be an list/array"),
    "no instances": ("", '{"instances": []}', 400, "No values in 'instances' array"),
    "a signature that is not there": ("nope", '{"instances": [1]}', 400, 'Serving signature name: "nope" not found'),
    "half a surrogate pair": ("string", '{"instances": ["\\ud800"]}', 400, "surrogate pair"),
    "a signature's name that is no text": ("\\ud800", '{"instances": [1]}', 400, "'signature_name' is not UTF-8"),
    "an input's name that is no text": ("float32", '{"inputs": {"x": 1, "\\udfff": 2}}', 400, "named input: \udfff"),
    "a name in a row that is no text": ("two", '{"instances": [{"a": 1, "\\udfff": 2}]}', 400, "not have named input"),
    # Outputs.
    "a scalar answer by row": ("sum", '{"instances": [1, 2]}', 400, "Tensor name: y has no shape information"),
    "uneven answers by row": ("uneven", '{"instances": [1, 2]}', 400, "has inconsistent batch size"),
    "an answer that JSON has not": ("complex", '{"instances": [1]}', 400, "for tensor type: complex64"),
}

DIFFERENT: dict[str, tuple[str, str, int, str]] = {
    "above int8": ("int8", '{"instances": [128]}', 400, NOT_OF_TYPE + "int8"),
    "above uint8": ("uint8", '{"instances": [256]}', 400, NOT_OF_TYPE + "uint8"),
    "negative for uint8": ("uint8", '{"instances": [-1]}', 400, NOT_OF_TYPE + "uint8"),
    "above int16": ("int16", '{"instances": [32768]}', 400, NOT_OF_TYPE + "int16"),
    "too big for a float": ("float32", '{"instances": [1e39]}', 400, "too big for its type"),
    "the double next to infinity for a float": ("float32", f'{{"instances": [-{BIG}]}}', 400, "too big for its type"),
    "a column that nobody asked for": ("float32", '{"inputs": {"x": 1, "z": 2}}', 400, "not have named input: z"),
    "a key that stands twice": ("float32", '{"instances": [1], "instances": [2]}', 400, "occurs twice"),
    "text behind the body": ("float32", '{"instances": [1]} {"instances": [2]}', 400, "JSON Parse error: Extra data"),
    "nesting without end": ("float32", '{"instances": [1], "n": ' + 9999 * "[" + 9999 * "]" + "}", 400, "too deeply"),
}


def with_signature(signature: str, body: str) -> str:
    """The body, with the signature's name as its first key."""
    if not signature:
        return body
    return body.replace("{", f'{{"signature_name": "{signature}", ', 1)


def same(got: Any, wanted: Any) -> bool:
    """Equality in which NaN is NaN, 1 is not true, and a whole float is a float."""
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(got, float) and math.isnan(got)
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(same, got, wanted))
    if isinstance(wanted, dict):
        return isinstance(got, dict) and got.keys() == wanted.keys() and all(same(got[k], wanted[k]) for k in wanted)
    return got == wanted and isinstance(got, bool) == isinstance(wanted, bool)


@pytest.mark.parametrize(
    ("key", "case"), [*(("predictions", c) for c in ACCEPTED), *(("outputs", c) for c in BY_COLUMN)]
)
def test_values_come_back(rules_port, key, case):
    signature, body, wanted = (ACCEPTED if key == "predictions" else BY_COLUMN)[case]
    code, answer, headers = ask(rules_port, "POST", "/v1/models/rules:predict", with_signature(signature, body))
    assert code == 200, answer
    assert headers["Content-Type"] == "application/json"
    assert answer.keys() == {key}
    if wanted is not None:
        assert same(answer[key], wanted), answer


@pytest.mark.parametrize("case", SEVERAL)
def test_several_outputs_are_objects(rules_port, case):
    signature, body, wanted = SEVERAL[case]
    code, answer, _ = ask(rules_port, "POST", "/v1/models/rules:predict", with_signature(signature, body))
    assert (code, answer) == (200, {"predictions": wanted})


@pytest.mark.parametrize("case", [*REFUSED, *DIFFERENT])
def test_what_does_not_fit_is_refused(rules_port, case):
    signature, body, wanted, part = {**REFUSED, **DIFFERENT}[case]
    code, answer, _ = ask(rules_port, "POST", "/v1/models/rules:predict", with_signature(signature, body))
    assert (code, answer.keys()) == (wanted, {"error"}), answer
    assert part in answer["error"]


def test_floats_are_written_with_six_digits_or_nine(rules_port):
    body = '{"instances": [9000000, 999999, 0.5, 0.0003, 0.00003, 555557.5, 0.2, 0.123456789]}'
    answer = ask(rules_port, "POST", "/v1/models/rules:predict", body)[1]
    assert answer["predictions"] == [9e6, 999999.0, 0.5, 0.0003, 3e-05, 555557.5, 0.2, 0.123456791]


def test_bytes_that_are_no_utf8_pass_in_both_directions(rules_port):
    body = b'{"signature_name": "bytes", "instances": ["\xff\x80x"]}'
    assert ask(rules_port, "POST", "/v1/models/rules:predict", body)[1] == {"predictions": [{"b64": "/4B4"}]}


def test_integers_and_floats_stay_apart(rules_port):
    for signature, kind in (("int64", int), ("float32", float), ("float64", float)):
        body = with_signature(signature, '{"instances": [3]}')
        (value,) = ask(rules_port, "POST", "/v1/models/rules:predict", body)[1]["predictions"]
        assert type(value) is kind
