"""PredictionService of TensorFlow Serving: Predict, Classify, Regress, GetModelMetadata."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tfvs.server import classification
from tfvs.server.predictor import Answer, Predictor
from tfvs.server.servable import Arrays, Servable
from tfvs.server.status import answered, invalid
from tfvs.server.tensors import fill_proto

SIGNATURE_DEF = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers as TensorFlow Serving does, codes and words included."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @answered
    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> Any:
        """Runs a signature."""
        answer = self._predictor.predict_protos(
            request.model_spec, request.inputs, request.output_filter, context.is_active
        )
        response = predict_pb2.PredictResponse()
        _describe(response.model_spec, answer)
        for key, value in answer.outputs.items():
            fill_proto(response.outputs[key], value)
        return response

    @answered
    def Classify(self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext) -> Any:
        """Runs a signature whose method is ``tensorflow/serving/classify``."""
        response = classification_pb2.ClassificationResponse()
        outputs = self._run_examples(request, context, classification.CLASSIFY, response.model_spec)
        classification.fill_classifications(response.result, outputs)
        return response

    @answered
    def Regress(self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext) -> Any:
        """Runs a signature whose method is ``tensorflow/serving/regress``."""
        response = regression_pb2.RegressionResponse()
        outputs = self._run_examples(request, context, classification.REGRESS, response.model_spec)
        classification.fill_regressions(response.result, outputs)
        return response

    @answered
    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> Any:
        """Tells the signatures."""
        del context
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != SIGNATURE_DEF:
                raise invalid(f"Metadata field {name} is not supported")
        return metadata(self._predictor.servable(request.model_spec))

    def _run_examples(
        self,
        request: classification_pb2.ClassificationRequest | regression_pb2.RegressionRequest,
        context: grpc.ServicerContext,
        method: str,
        described: model_pb2.ModelSpec,
    ) -> Arrays:
        answer = classification.run(self._predictor, request.model_spec, request.input, method, context.is_active)
        _describe(described, answer)
        return answer.outputs


def metadata(servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a servable, as GetModelMetadata answers."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for key, value in servable.signatures.items():
        definitions.signature_def[key].CopyFrom(value)
    packed = any_pb2.Any()
    packed.Pack(definitions)
    response.metadata[SIGNATURE_DEF].CopyFrom(packed)
    return response


def _describe(spec: model_pb2.ModelSpec, answer: Answer) -> None:
    spec.name, spec.signature_name = answer.servable.name, answer.signature_name
    spec.version.value = answer.servable.version
