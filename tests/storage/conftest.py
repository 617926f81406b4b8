"""A server of object storage behind a relay that counts requests, for the tests of this folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.object_server import KEYS, s3_server
from benchmarks.relay import RunningRelay, running_relay
from tfvs.storage import objects


@pytest.fixture(scope="session", params=["moto", pytest.param("versitygw", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """moto's server always; and a store that is used beyond tests where its program is installed."""
    program = request.param if request.param == "moto" else shutil.which(request.param)
    if program is None:
        pytest.skip("no versitygw here: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0, on PATH")
    with s3_server(program) as address:
        yield address


@pytest.fixture(scope="session")
def relay(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    with running_relay(server, tmp_path_factory.mktemp("relay") / "requests.jsonl") as running:
        yield running


@pytest.fixture
def reached(relay: RunningRelay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunningRelay:
    """The relay, with the environment that leads this process and its children to it."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": relay.url, "TFVS_CACHE_FOLDER": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "_storage", None)
    relay.forget()
    return relay
