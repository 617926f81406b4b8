"""The documented configuration of nginx, with nginx."""

from __future__ import annotations

import http.client
import json

import pytest

from benchmarks.machine import free_port
from benchmarks.nginx import PROGRAM, nginx
from tests.server.calls import factor
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions


@pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed (apt-get install nginx-light)")
def test_rest_and_grpc_through_nginx(toy_model, tmp_path, stub):
    options = ServerOptions(model_base_path=str(toy_model), model_name="toy", port=0, rest_api_port=free_port())
    with ModelServer(options) as server, nginx(tmp_path, options.rest_api_port, server.port) as (rest, grpc):
        connection = http.client.HTTPConnection("127.0.0.1", rest, timeout=60)
        rows = [[1.0, 1.0, 1.0]] * 60_000  # a body of 1 MB
        for _ in range(2):
            connection.request("POST", "/v1/models/toy:predict", json.dumps({"instances": rows}))
            response = connection.getresponse()
            assert response.status == 200
            assert len(json.loads(response.read())["predictions"]) == len(rows)
        assert factor(stub(grpc)) == 2.0
