"""JSON of TensorFlow Serving's REST API: request bodies, strings and bytes, and the text of answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from tfvs.server.servable import DEFAULT_SIGNATURE
from tfvs.server.status import invalid

SIGNATURE_NAME = "signature_name"
_MAX_SHOWN_CHARACTERS = 256
_WHITESPACE = re.compile("[ \t\n\v\f\r]+")
_JSON_TYPES = {dict: "Object", list: "Array", str: "String", type(None): "Null"}


class NamedFloat(float):
    """NaN, Infinity or -Infinity, written by name; a number that is merely too large for a float is none of them."""


def parse_object(body: bytes) -> dict[str, Any]:
    """Parses a request body.

    Args:
      body: JSON in UTF-8; NaN, Infinity and -Infinity are allowed. Bytes of a string that are not UTF-8 are kept.

    Raises:
      RequestError: INVALID_ARGUMENT: not JSON, not an object, or a key that occurs twice in one object.
    """
    text = body.decode("utf-8", "surrogateescape").lstrip("\ufeff")
    if not text.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        parsed = json.loads(text, parse_constant=NamedFloat, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        what = "Invalid value" if error.msg == "Expecting value" else error.msg
        raise invalid(f"JSON Parse error: {what}. at offset: {error.pos}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: The document is nested too deeply.") from error
    except ValueError as error:  # an integer of thousands of digits
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(parsed, dict):
        raise invalid(f"JSON Value: {shown(parsed)} Is not object")
    return parsed


def signature_name(request: Mapping[str, Any]) -> str:
    """The signature a request names; an empty name means the default one.

    Raises:
      RequestError: INVALID_ARGUMENT, the name is no string.
    """
    name = request.get(SIGNATURE_NAME, "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(request)} not formatted correctly. '{SIGNATURE_NAME}' key must be a string value."
        )
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise invalid(f"'{SIGNATURE_NAME}' is not UTF-8: {shown(name)}") from error
    return name or DEFAULT_SIGNATURE


def to_bytes(answer: dict[str, Any]) -> bytes:
    """JSON text in UTF-8, with NaN and Infinity where there are any; bytes that are not UTF-8 stay as they are."""
    text = json.dumps(answer, ensure_ascii=False)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair in an error message: written as JSON's escape
        return text.encode("utf-8", "backslashreplace")


def bytes_from_json(value: Any) -> bytes:
    """A string, or an object ``{"b64": …}``, as bytes.

    Raises:
      RequestError: INVALID_ARGUMENT, it is neither, or not base64.
    """
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from error
    if not is_base64(value):
        raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = _WHITESPACE.sub("", value["b64"])
    if not text.endswith("="):
        text += "=" * (-len(text) % 4)  # padding may be left out
    try:
        if len(text) % 4:
            raise ValueError("incorrect padding")
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise invalid(f"Unable to base64 decode: {error}") from error


def is_base64(value: Any) -> bool:
    """Whether a JSON value is an object that stands for bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def json_type(value: Any) -> str:
    """The name of a JSON value's type, as TensorFlow Serving's errors have it."""
    if isinstance(value, bool):
        return str(value)
    return _JSON_TYPES.get(type(value), "Number")


def shown(value: Any) -> str:
    """A value for an error message, cut short; of a large one, only its beginning is written."""
    text = ""
    for part in json.JSONEncoder(ensure_ascii=True).iterencode(value):
        text += part
        if len(text) > _MAX_SHOWN_CHARACTERS:
            break
    return text[:_MAX_SHOWN_CHARACTERS]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(f"JSON Parse error: The key {shown(twice)} occurs twice in one object.")
    return found
