"""PredictionService of TensorFlow Serving: Predict, Classify, Regress, MultiInference, GetModelMetadata."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tfvs.server import classification
from tfvs.server.predictor import Predictor
from tfvs.server.servable import Servable
from tfvs.server.status import answered, invalid
from tfvs.server.tensors import fill_proto

SIGNATURE_DEF = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers as TensorFlow Serving does, with the same codes and messages.

    Args:
      predictor: Shared with REST.
      as_content: Whether answers are packed, see :func:`tfvs.server.tensors.fill_proto`.
    """

    def __init__(self, predictor: Predictor, *, as_content: bool = False) -> None:
        self._predictor, self._as_content = predictor, as_content

    @answered
    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> Any:
        """Runs a signature."""
        answer = self._predictor.predict_protos(request.model_spec, request.inputs, request.output_filter, context)
        response = predict_pb2.PredictResponse()
        answer.describe(response.model_spec)
        for key, value in answer.outputs.items():
            fill_proto(response.outputs[key], value, as_content=self._as_content)
        return response

    @answered
    def Classify(self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext) -> Any:
        """Labels and scores of tf.Examples."""
        answer, result = classification.classify(self._predictor, request.model_spec, request.input, context)
        response = classification_pb2.ClassificationResponse(result=result)
        answer.describe(response.model_spec)
        return response

    @answered
    def Regress(self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext) -> Any:
        """One value per tf.Example."""
        answer, result = classification.regress(self._predictor, request.model_spec, request.input, context)
        response = regression_pb2.RegressionResponse(result=result)
        answer.describe(response.model_spec)
        return response

    @answered
    def MultiInference(self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext) -> Any:
        """Several signatures over the same tf.Examples."""
        return classification.infer_all(self._predictor, request, context)

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


def metadata(servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a servable, as GetModelMetadata answers."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for key, value in servable.definitions.items():
        definitions.signature_def[key].CopyFrom(value)
    packed = any_pb2.Any()
    packed.Pack(definitions)
    response.metadata[SIGNATURE_DEF].CopyFrom(packed)
    return response
