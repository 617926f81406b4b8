"""What each call of the REST API does, from the parsed address and the body to the bytes of the answer.

The model spec that a call is given comes back with the version and the signature that answered.
"""

from __future__ import annotations

import inspect
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from tfvs.server import classification
from tfvs.server.grpc.model_service import model_status
from tfvs.server.grpc.prediction_service import SIGNATURE_DEF, metadata
from tfvs.server.predictor import Predictor
from tfvs.server.rest.json_examples import examples_from_json, json_from_classifications, json_from_regressions
from tfvs.server.rest.json_format import parse_object, signature_name, to_bytes
from tfvs.server.rest.json_inputs import arrays_from_json
from tfvs.server.rest.json_outputs import json_from_arrays
from tfvs.server.status import invalid

# The argument that asks for empty fields has had another name since protobuf 5.26.
_EMPTY_FIELDS = next(
    name
    for name in ("always_print_fields_with_no_presence", "including_default_value_fields")
    if name in inspect.signature(json_format.MessageToDict).parameters
)


def predict(predictor: Predictor, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
    """Answers ``:predict``.

    Raises:
      RequestError: With TensorFlow Serving's code.
    """
    request = parse_object(body)
    name = spec.signature_name = signature_name(request)
    servable = predictor.servable(spec)
    if name not in servable.signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    arrays, by_row = arrays_from_json(request, servable.signatures[name])
    answer = predictor.predict_arrays(servable, name, arrays)
    answer.describe(spec)
    return json_from_arrays(answer.outputs, by_row)


def classify(predictor: Predictor, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
    """Answers ``:classify``.

    Raises:
      RequestError: With TensorFlow Serving's code.
    """
    request = parse_object(body)
    spec.signature_name = signature_name(request)
    examples = examples_from_json(request)
    answer, result = classification.classify(predictor, spec, examples, predictor.caller)
    answer.describe(spec)
    return json_from_classifications(result)


def regress(predictor: Predictor, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
    """Answers ``:regress``.

    Raises:
      RequestError: With TensorFlow Serving's code.
    """
    request = parse_object(body)
    spec.signature_name = signature_name(request)
    examples = examples_from_json(request)
    answer, result = classification.regress(predictor, spec, examples, predictor.caller)
    answer.describe(spec)
    return json_from_regressions(result)


def status(predictor: Predictor, spec: model_pb2.ModelSpec, body: bytes = b"") -> bytes:
    """Answers GET of a model: the state of its versions, or of the one that the address names."""
    del body
    if not spec.name:
        raise invalid("Missing model name in request.")
    return to_bytes(_plain(model_status(predictor.manager, spec.name, predictor.version(spec))))


def describe(predictor: Predictor, spec: model_pb2.ModelSpec, body: bytes = b"") -> bytes:
    """Answers GET …/metadata: the signatures."""
    del body
    if not spec.name:
        raise invalid("Missing model name in request.")
    response = metadata(predictor.servable(spec))
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(definitions)
    return to_bytes({"model_spec": _plain(response.model_spec), "metadata": {SIGNATURE_DEF: _plain(definitions)}})


def _plain(message: Any) -> dict[str, Any]:
    """A protobuf message with all its fields, the empty ones too, as TensorFlow Serving writes it."""
    options: dict[str, Any] = {"preserving_proto_field_name": True, _EMPTY_FIELDS: True}
    return json_format.MessageToDict(message, **options)
