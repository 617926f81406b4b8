"""Classify, Regress and MultiInference, on a model with the method names of TensorFlow 1 and on one without."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

EXAMPLES = [tf.TensorSpec([None], tf.string, name="inputs")]


class Scorer(tf.Module):
    """Scores of two classes, or one value, from a feature and its context's offset."""

    def _value(self, inputs: tf.Tensor) -> tf.Tensor:
        features = {key: tf.io.FixedLenFeature([], tf.float32, 0.0) for key in ("x", "offset")}
        parsed = tf.io.parse_example(inputs, features)
        return parsed["x"] + parsed["offset"]

    @tf.function(input_signature=EXAMPLES)
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        value = self._value(inputs)
        classes = tf.tile([["low", "high"]], [tf.shape(value)[0], 1])
        return {"classes": classes, "scores": tf.stack([1.0 - value, value], axis=1)}

    @tf.function(input_signature=EXAMPLES)
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._value(inputs)[:, tf.newaxis]}


@pytest.fixture(scope="module")
def scorer(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("scorer")
    model, path = Scorer(), str(base / "1")
    tf.saved_model.save(model, path, signatures={"serving_default": model.classify, "regress": model.regress})
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(path)
    updater.replace_method_name(signature_key="serving_default", method_name="tensorflow/serving/classify")
    updater.replace_method_name(signature_key="regress", method_name="tensorflow/serving/regress")
    updater.save()
    return base


def example(**values: float) -> tf.train.Example:
    features = {key: tf.train.Feature(float_list=tf.train.FloatList(value=[value])) for key, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def copy(target, source: tf.train.Example) -> None:
    target.ParseFromString(source.SerializeToString())


def test_classify_and_regress(serve, stub, scorer):
    client = stub(serve(scorer))
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "toy"
    for value in (0.25, 0.75):
        copy(request.input.example_list.examples.add(), example(x=value))
    response = client.Classify(request, timeout=30)
    found = [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]
    assert found == [[("low", 0.75), ("high", 0.25)], [("low", 0.25), ("high", 0.75)]]
    assert (response.model_spec.name, response.model_spec.signature_name) == ("toy", "serving_default")

    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "toy", "regress"
    copy(request.input.example_list_with_context.context, example(offset=0.5))
    copy(request.input.example_list_with_context.examples.add(), example(x=2.0))
    response = client.Regress(request, timeout=30)
    assert [row.value for row in response.result.regressions] == [2.5]


CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def inference(*tasks: tuple[str, str, str], value: float = 0.75) -> inference_pb2.MultiInferenceRequest:
    request = inference_pb2.MultiInferenceRequest()
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    copy(request.input.example_list.examples.add(), example(x=value))
    return request


def test_multi_inference_answers_each_task(serve, stub, scorer):
    client = stub(serve(scorer))
    request = inference(("toy", "regress", REGRESS), ("toy", "", CLASSIFY))
    first, second = client.MultiInference(request, timeout=30).results
    assert [row.value for row in first.regression_result.regressions] == [0.75]
    (row,) = second.classification_result.classifications
    assert [(found.label, found.score) for found in row.classes] == [("low", 0.25), ("high", 0.75)]
    assert [(r.model_spec.signature_name, r.model_spec.version.value) for r in (first, second)] == [
        ("regress", 1),
        ("serving_default", 1),
    ]
    refused = {
        "the same model name": inference(("toy", "regress", REGRESS), ("other", "", CLASSIFY)),
        "empty model name": inference(("toy", "regress", REGRESS), ("", "", CLASSIFY)),
        "Duplicate evaluation of signature: serving_default": inference(
            ("toy", "", CLASSIFY), ("toy", "serving_default", CLASSIFY)
        ),
        "No signature was found": inference(("toy", "nope", REGRESS)),
        "Missing ModelSpec": inference(),
        "Unsupported signature method_name: guess": inference(("toy", "", "guess")),
    }
    for text, message in refused.items():
        with pytest.raises(grpc.RpcError) as caught:
            client.MultiInference(message, timeout=30)
        assert text in caught.value.details()
        wanted = grpc.StatusCode.UNIMPLEMENTED if "Unsupported" in text else grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.code() == wanted


def test_an_export_of_tensorflow_2_classifies(serve, stub, tmp_path):
    model = Scorer()
    tf.saved_model.save(model, str(tmp_path / "1"), signatures={"serving_default": model.classify})
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "toy"
    copy(request.input.example_list.examples.add(), example(x=0.75))
    client = stub(serve(tmp_path))
    (row,) = client.Classify(request, timeout=30).result.classifications
    assert [(found.label, found.score) for found in row.classes] == [("low", 0.25), ("high", 0.75)]
