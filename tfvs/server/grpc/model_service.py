"""ModelService of TensorFlow Serving: GetModelStatus, HandleReloadConfigRequest."""

from __future__ import annotations

from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
)

from tfvs.errors import TfvsError
from tfvs.server.caller import timeout_of
from tfvs.server.manager import ModelManager
from tfvs.server.predictor import Predictor
from tfvs.server.status import RequestError, answered, invalid
from tfvs.server.text_configs import models_from_proto


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Tells which versions serve, and changes which models do."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @answered
    def GetModelStatus(self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext) -> Any:
        """State of every version, or of the one asked for."""
        del context
        spec = request.model_spec
        if not spec.name:
            raise invalid("Missing ModelSpec")
        return model_status(self._predictor.manager, spec.name, self._predictor.version(spec))

    @answered
    def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> Any:
        """Serves the models named, and only those, from now on."""
        try:
            self._predictor.manager.reconfigure(models_from_proto(request.config), timeout_of(context))
        except TfvsError as error:
            raise invalid(str(error)) from error
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response


def model_status(manager: ModelManager, name: str, version: int | None) -> get_model_status_pb2.GetModelStatusResponse:
    """As GetModelStatus answers.

    Raises:
      RequestError: NOT_FOUND or UNAVAILABLE.
    """
    statuses = manager.statuses(name)
    if not statuses:
        manager.check_loaded(name)
        raise RequestError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
    if version is not None and version not in statuses:
        raise RequestError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, status in statuses.items():
        if version in (None, number):
            added = response.model_version_status.add(version=number, state=status.state.value)
            added.status.SetInParent()
            if status.error:
                added.status.error_code = grpc.StatusCode.UNKNOWN.value[0]
                added.status.error_message = status.error
    return response
