"""Which address means what, and what a malformed one is answered."""

from __future__ import annotations

import pytest

from tests.server.rest.rules_model import ask

ONE = '{"instances": [1]}'
MALFORMED = "Malformed request: "

ADDRESSES: dict[str, tuple[str, str, int, str]] = {
    "the newest version": ("POST", "/v1/models/rules:predict", 200, ""),
    "one version": ("POST", "/v1/models/rules/versions/1:predict", 200, ""),
    "a version with leading zeros": ("POST", "/v1/models/rules/versions/0001:predict", 200, ""),
    "the address in capital letters": ("POST", "/V1/Models/rules:predict", 200, ""),
    "an encoded name": ("POST", "/v1/models/r%75les:predict", 200, ""),
    "a query behind it": ("POST", "/v1/models/rules:predict?x=1", 200, ""),
    "another version": ("POST", "/v1/models/rules/versions/2:predict", 404, "Specific(rules, 2)"),
    "the largest version": (
        "POST",
        "/v1/models/rules/versions/9223372036854775807:predict",
        404,
        "Specific(rules, 9223372036854775807)",
    ),
    "one beyond it": (
        "POST",
        "/v1/models/rules/versions/9223372036854775808:predict",
        400,
        "Failed to convert version",
    ),
    "20 digits that begin with 1": ("POST", "/v1/models/rules/versions/10000000000000000000:predict", 400, "Failed to"),
    "a version of 300 digits": ("GET", "/v1/models/rules/versions/" + 300 * "1", 400, "Failed to convert version"),
    "no such model": ("POST", "/v1/models/foo:predict", 404, "Servable not found for request: Latest(foo)"),
    "no such model and version": ("POST", "/v1/models/foo/versions/50:predict", 404, "Specific(foo, 50)"),
    "a name cut off": ("POST", "/v1/models/rules99:predict", 404, "Latest(rules99)"),
    "a name that is no UTF-8": ("POST", "/v1/models/%ff:predict", 400, "Failed to decode model name"),
    "no such method": ("POST", "/v1/models/rules:guess", 400, MALFORMED + "POST /v1/models/rules:guess"),
    "the method in capital letters": ("POST", "/v1/models/rules:PREDICT", 400, MALFORMED),
    "no method": ("POST", "/v1/models/rules", 400, MALFORMED),
    "a method asked for by GET": ("GET", "/v1/models/rules:predict", 400, MALFORMED),
    "metadata asked for by POST": ("POST", "/v1/models/rules/metadata", 400, MALFORMED),
    "version in the singular": ("POST", "/v1/models/rules/version/1:predict", 400, MALFORMED),
    "a version that is a word": ("POST", "/v1/models/rules/versions/HELLO:predict", 400, MALFORMED),
    "a negative version": ("POST", "/v1/models/rules/versions/-1:predict", 400, MALFORMED),
    "label in the singular": ("POST", "/v1/models/rules/label/stable:predict", 400, MALFORMED),
    "a version and a label": ("POST", "/v1/models/rules/versions/1/labels/stable:predict", 400, MALFORMED),
    "no name": ("GET", "/v1/models", 400, "Missing model name in request."),
    "two names": ("GET", "/v1/models/debug/rules", 400, MALFORMED),
    "nothing": ("GET", "/v1/", 400, MALFORMED),
    "another verb": ("PUT", "/v1/models/rules:predict", 400, MALFORMED),
    "outside the API": ("GET", "/anything", 404, ""),
    "an unknown label": (
        "POST",
        "/v1/models/rules/labels/none:predict",
        400,
        "Unrecognized servable version label: none",
    ),
    "status": ("GET", "/v1/models/rules", 200, ""),
    "status of a version": ("GET", "/v1/models/rules/versions/1", 200, ""),
    "status of another version": ("GET", "/v1/models/rules/versions/2", 404, "Could not find version 2 of model rules"),
    "status of no such model": ("GET", "/v1/models/foo", 404, "Could not find any versions of model foo"),
    "metadata": ("GET", "/v1/models/rules/metadata", 200, ""),
    "metadata of a version": ("GET", "/v1/models/rules/versions/1/metadata", 200, ""),
    "metadata of no such model": ("GET", "/v1/models/foo/metadata", 404, "Servable not found for request: Latest(foo)"),
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_addresses(rules_port, case):
    method, path, wanted, part = ADDRESSES[case]
    code, answer, headers = ask(rules_port, method, path, ONE if method != "GET" else None)
    assert code == wanted, answer
    if wanted != 200:
        assert answer.keys() == {"error"}
        assert part in answer["error"]
    assert headers["Content-Type"].startswith("application/json")


def test_status_is_that_of_the_documentation(rules_port):
    for path in ("/v1/models/rules", "/v1/models/rules/versions/1"):
        assert ask(rules_port, "GET", path)[1] == {
            "model_version_status": [
                {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
            ]
        }


def test_head_is_a_get_without_a_body(rules_port):
    for path, code in (("/v1/models/rules", 200), ("/v1/models/foo", 404)):
        assert ask(rules_port, "HEAD", path)[:2] == (code, None)


def test_metadata_holds_every_field_the_empty_ones_too(rules_port):
    answer = ask(rules_port, "GET", "/v1/models/rules/metadata")[1]
    assert answer["model_spec"] == {"name": "rules", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["int32"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"] == {
        "dtype": "DT_INT32",
        "name": "int32_x:0",
        "tensor_shape": {"dim": [], "unknown_rank": True},
    }
    assert signature["defaults"] == {}
