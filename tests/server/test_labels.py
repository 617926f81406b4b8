"""Labels of versions, in requests of every kind and after the configuration has changed."""

from __future__ import annotations

import grpc
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from benchmarks.machine import free_port
from tests.server.calls import X, factor
from tests.server.rest.rules_model import ask
from tests.server.toy import request, write_toy
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    base = tmp_path_factory.mktemp("labelled") / "toy"
    for version in (1, 2):
        write_toy(base / str(version), float(version))
    config = base.parent / "models.txt"
    config.write_text(
        f"""model_config_list {{ config {{ name: "toy" base_path: "{base}" model_platform: "tensorflow"
        model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
        version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 2 }} }} }}"""
    )
    port = free_port()
    with ModelServer(ServerOptions(model_config_file=str(config), port=0, rest_api_port=port)) as server:
        yield server, port, base


def test_labels_by_rest(labelled):
    _, port, _ = labelled
    body = '{"inputs": [[1, 1, 1]]}'
    for label, value in (("stable", 1.0), ("canary", 2.0), ("st%61ble", 1.0)):
        code, answer, _ = ask(port, "POST", f"/v1/models/toy/labels/{label}:predict", body)
        assert (code, answer["outputs"]["y"]) == (200, [[value] * 3])
    code, answer, _ = ask(port, "POST", "/v1/models/toy/labels/none:predict", body)
    assert (code, answer) == (400, {"error": "Unrecognized servable version label: none"})
    code, answer, _ = ask(port, "GET", "/v1/models/toy/labels/stable")
    assert (code, [status["version"] for status in answer["model_version_status"]]) == (200, ["1"])
    code, answer, _ = ask(port, "GET", "/v1/models/toy/labels/canary/metadata")
    assert (code, answer["model_spec"]["version"]) == (200, "2")
    assert ask(port, "GET", "/v1/models/toy/labels/none")[0] == 400


def test_labels_by_grpc_follow_the_configuration(labelled):
    server, _, base = labelled
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        models = model_service_pb2_grpc.ModelServiceStub(channel)

        def by_label(label: str) -> tuple[float, int]:
            message = request(x=X)
            message.model_spec.version_label = label
            response = client.Predict(message, timeout=30)
            return response.outputs["y"].float_val[0], response.model_spec.version.value

        assert (by_label("stable"), by_label("canary")) == ((1.0, 1), (2.0, 2))
        assert factor(client) == 2.0
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name, status.model_spec.version_label = "toy", "stable"
        assert [found.version for found in models.GetModelStatus(status, timeout=30).model_version_status] == [1]

        reload = model_management_pb2.ReloadConfigRequest()
        config = reload.config.model_config_list.config.add(name="toy", base_path=str(base))
        config.model_version_policy.all.SetInParent()
        config.version_labels["stable"] = 2
        models.HandleReloadConfigRequest(reload, timeout=60)
        assert by_label("stable") == (2.0, 2)
        with pytest.raises(grpc.RpcError) as caught:
            by_label("canary")
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "Unrecognized servable version label: canary" in caught.value.details()
