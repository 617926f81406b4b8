from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("tensorflow_serving", reason="tfvs[serving] is not installed")

from benchmarks.machine import free_port
from tests.server.rest.rules_model import write_rules
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions


@pytest.fixture(scope="session")
def rules_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The REST port of a server with the model ``rules``, version 1."""
    base = tmp_path_factory.mktemp("models") / "rules"
    write_rules(base / "1")
    port = free_port()
    options = ServerOptions(model_base_path=str(base), model_name="rules", port=0, rest_api_port=port)
    with ModelServer(options):
        yield port
