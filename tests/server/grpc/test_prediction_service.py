from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.server.toy import request

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def failure(call, message) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=30)
    return caught.value.code(), caught.value.details()


def test_predict_gives_outputs_version_and_signature(serve, stub, toy_model):
    response = stub(serve(toy_model)).Predict(request(x=X), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), 2 * X)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["total"]), [12, 30])
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 1)
    assert response.model_spec.signature_name == "serving_default"


def test_output_filter_keeps_only_what_it_names(serve, stub, toy_model):
    message = request(x=X)
    message.output_filter.append("total")
    response = stub(serve(toy_model)).Predict(message, timeout=30)
    assert list(response.outputs) == ["total"]


def test_strings_and_scalars_pass(serve, stub, toy_model):
    client = stub(serve(toy_model))
    parsed = client.Predict(request("parse", numbers=["1.5", b"-2"]), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(parsed.outputs["value"]), [3.0, -4.0])
    fixed = client.Predict(request("fixed", square=np.ones([2, 2], np.int32), n=np.int32(3)), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(fixed.outputs["out"]), [[3, 3], [3, 3]])


def test_an_empty_batch_gives_an_empty_answer(serve, stub, toy_model):
    outputs = stub(serve(toy_model)).Predict(request(x=X[:0]), timeout=30).outputs
    assert tf.make_ndarray(outputs["y"]).shape == (0, 3)
    assert tf.make_ndarray(outputs["total"]).shape == (0,)


def _with(message: predict_pb2.PredictRequest, **fields) -> predict_pb2.PredictRequest:
    for key, value in fields.items():
        if key == "version":
            message.model_spec.version.value = value
        elif key == "label":
            message.model_spec.version_label = value
        elif key == "filter":
            message.output_filter.extend(value)
    return message


def _reshaped(dims: list[int]) -> predict_pb2.PredictRequest:
    message = request(x=X)
    shape = message.inputs["x"].tensor_shape
    del shape.dim[:]
    for size in dims:
        shape.dim.add(size=size)
    return message


INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
MALFORMED = {
    "no spec": (predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec"),
    "unknown model": (request(model="nope", x=X), MISSING, "Servable not found for request: Latest(nope)"),
    "unknown version": (
        _with(request(x=X), version=9),
        MISSING,
        "Servable not found for request: Specific(toy, 9)",
    ),
    "unknown label": (_with(request(x=X), label="beta"), INVALID, "Unrecognized servable version label: beta"),
    "unknown signature": (
        request("nope", x=X),
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "nope" not found.',
    ),
    "wrong name": (request(z=X), INVALID, "input tensor alias not found in signature: z. Inputs expected"),
    "missing": (request(), INVALID, "input size does not match signature: 0!=1 len({}) != len({x})"),
    "extra": (request(x=X, z=X), INVALID, "Sent extra: {z}. Missing but required: {}."),
    "dtype": (request(x=X.astype(np.float64)), INVALID, "Expects arg[x] to be float32 but float64 is provided"),
    "a rank that the model cannot take": (request(x=X[0]), INVALID, "Invalid reduction dimension"),
    "torn": (_reshaped([5, 3]), INVALID, "tensor parsing error: x"),
    "claims 100 GB": (_reshaped([10**10, 3]), INVALID, "tensor parsing error: x"),
    "negative": (_reshaped([-2, 3]), INVALID, "tensor parsing error: x"),
    "filter": (_with(request(x=X), filter=["z"]), INVALID, "output tensor alias not found in signature: z"),
    "filter twice": (_with(request(x=X), filter=["y", "y"]), INVALID, "duplicate output tensor alias: y"),
    "fails in the graph": (request("parse", numbers=["one"]), INVALID, "could not correctly convert string: one"),
}


@pytest.fixture(scope="module")
def malformed_server(toy_model):
    from tfvs.server.model_server import ModelServer
    from tfvs.server.options import ServerOptions

    with ModelServer(ServerOptions(model_base_path=str(toy_model), model_name="toy", port=0)) as server:
        yield server


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_get_tensorflow_servings_code(malformed_server, stub, case):
    message, code, text = MALFORMED[case]
    client = stub(malformed_server)
    before = client.Predict(request(x=X), timeout=30)
    got, details = failure(client.Predict, message)
    assert (got, text in details) == (code, True), (got, details)
    assert len(details) <= 1024
    assert client.Predict(request(x=X), timeout=30) == before


def test_a_thousand_malformed_requests_leave_the_answer_bit_equal(malformed_server, stub):
    client = stub(malformed_server)
    before = client.Predict(request(x=X), timeout=30)
    cases = list(MALFORMED.values())
    for number in range(1000):
        message, code, _ = cases[number % len(cases)]
        assert failure(client.Predict, message)[0] == code
    assert client.Predict(request(x=X), timeout=30) == before


def test_a_body_above_the_limit_is_resource_exhausted(serve, stub, toy_model):
    client = stub(serve(toy_model, max_message_bytes=2**20))
    big = request(x=np.zeros([2**18, 3], np.float32))
    assert failure(client.Predict, big)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.Predict(request(x=X), timeout=30).outputs


def test_a_request_of_40_mb_passes(malformed_server, stub):
    big = request(x=np.ones([3_400_000, 3], np.float32))
    big.output_filter.append("total")
    client = stub(malformed_server, **{"grpc.max_receive_message_length": -1})
    answer = tf.make_ndarray(client.Predict(big, timeout=120).outputs["total"])
    assert answer.shape == (3_400_000,)
    assert (answer == 6.0).all()


def test_bytes_that_are_no_message_leave_the_server_up(malformed_server, stub):
    with grpc.insecure_channel(f"127.0.0.1:{malformed_server.port}") as channel:
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        not_utf8 = b"\x0a\x04\x0a\x02\xff\xfe"
        codes = {failure(raw, payload)[0] for payload in (b"\xff\xff\xff", not_utf8, b"\x0a\xff\x01")}
    assert codes <= {grpc.StatusCode.INTERNAL, INVALID, MISSING}
    assert stub(malformed_server).Predict(request(x=X), timeout=30).outputs


def test_metadata_tells_the_signatures(malformed_server, stub):
    client = stub(malformed_server)
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "toy"
    response = client.GetModelMetadata(message, timeout=30)
    found = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(found)
    assert set(found.signature_def) == {"serving_default", "parse", "fixed", "__saved_model_init_op"}
    assert response.model_spec.version.value == 1
    message.metadata_field[:] = ["size"]
    assert failure(client.GetModelMetadata, message) == (INVALID, "Metadata field size is not supported")
    del message.metadata_field[:]
    assert failure(client.GetModelMetadata, message)[0] == INVALID


def test_a_shape_that_the_signature_does_not_have_is_for_the_model_to_judge(malformed_server, stub):
    response = stub(malformed_server).Predict(request(x=np.ones([1, 2, 5], np.float32)), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), 2 * np.ones([1, 2, 5]))


def test_answers_lie_in_the_field_of_their_type(serve, stub, toy_model):
    answer = stub(serve(toy_model)).Predict(request(x=X), timeout=30).outputs["y"]
    assert (list(answer.float_val), answer.tensor_content) == ((2 * X).ravel().tolist(), b"")
    server = serve(toy_model, enable_serialization_as_tensor_content=True)
    answer = stub(server).Predict(request(x=X), timeout=30).outputs["y"]
    assert (list(answer.float_val), answer.tensor_content) == ([], (2 * X).tobytes())


def test_method_names_count_where_they_are_asked_for(serve, stub, toy_model):
    client = stub(serve(toy_model, enable_signature_method_name_check=True))
    assert client.Predict(request(x=X), timeout=30).outputs
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name = "toy"
    classify.input.example_list.examples.add()
    assert failure(client.Classify, classify) == (
        INVALID,
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict",
    )


def test_classify_and_regress_want_signatures_that_take_examples(malformed_server, stub):
    client = stub(malformed_server)
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name = "toy"
    classify.input.example_list.examples.add()
    code, details = failure(client.Classify, classify)
    assert (code, details.startswith("No classification inputs found")) == (INVALID, True)
    classify.model_spec.signature_name = "nope"
    assert failure(client.Classify, classify) == (INVALID, "No signature was found with the name: nope")
    regress = regression_pb2.RegressionRequest()
    regress.model_spec.name = "toy"
    assert failure(client.Regress, regress)[0] == INVALID
