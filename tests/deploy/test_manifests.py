"""The files under ``deploy/``: linted, checked against Kubernetes' schema, and tried on the server itself."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from benchmarks.machine import free_port
from tests.server.calls import factor
from tests.server.test_model_server import start_process
from tfvs.server.options import ServerOptions
from tfvs.server.text_configs import read_metrics_path
from tfvs.version import __version__

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DOCKERFILES = sorted(DEPLOY.rglob("Dockerfile"))
KUBERNETES_VERSION = "1.31"


def objects() -> dict[str, Any]:
    """All manifests by their kind."""
    paths = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return {item["kind"]: item for path in paths for item in yaml.safe_load_all(path.read_text())}


OBJECTS = objects()
POD = OBJECTS["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().status


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_dockerfiles_pass_hadolint(path):
    checked = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--failure-threshold=style", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    text = path.read_text()
    assert re.search(r"^USER [1-9]\d*:", text, re.M)
    assert "HEALTHCHECK" in text
    assert all(
        re.fullmatch(r"[\w/.-]+:[\d.]+\S*(?: AS \w+)?", image) for image in re.findall(r"^FROM (.*)$", text, re.M)
    )


@pytest.mark.parametrize("kind", OBJECTS)
def test_manifests_follow_kubernetes_schema(kind):
    kubernetes_validate.validate(OBJECTS[kind], KUBERNETES_VERSION, strict=True)


def test_a_wrong_manifest_would_be_found():
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**OBJECTS["Service"], "specification": {}}, KUBERNETES_VERSION, strict=True)


def test_manifests_belong_together():
    labels, spec = POD["metadata"]["labels"], OBJECTS["Deployment"]["spec"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert OBJECTS["Service"]["spec"]["selector"].items() <= labels.items()
    assert OBJECTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in OBJECTS["Service"]["spec"]["ports"]} == ports
    scaled = OBJECTS["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == OBJECTS["Deployment"]["metadata"]["name"]
    assert OBJECTS["PodDisruptionBudget"]["spec"]["minAvailable"] < spec["replicas"] <= scaled["minReplicas"]
    assert CONTAINER["image"].endswith(f":{__version__}")
    volumes = {volume["name"] for volume in POD["spec"]["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes
    assert all(mount["readOnly"] for mount in CONTAINER["volumeMounts"])


def option(name: str) -> str:
    return next(argument.partition("=")[2] for argument in CONTAINER["args"] if argument.startswith(f"--{name}="))


def test_the_server_ends_before_kubernetes_kills_it():
    grace, delay = float(option("shutdown_grace_seconds")), float(option("shutdown_delay_seconds"))
    assert delay < grace < POD["spec"]["terminationGracePeriodSeconds"]
    assert delay >= 2 * CONTAINER["readinessProbe"]["periodSeconds"]  # what sends requests has noticed by then


def test_compose_gives_the_server_flags_that_it_knows():
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["tfvs"]
    known = set(ServerOptions.__dataclass_fields__) | {"image_root"}
    assert {argument[2:].partition("=")[0] for argument in service["command"]} <= known
    assert all(volume.endswith(":ro") for volume in service["volumes"])
    assert service["read_only"] is True


def test_probes_metrics_and_the_end_are_as_the_manifest_says(stub, toy_model, tmp_path):
    """Runs the server with the manifest's own arguments and configuration; paths and ports alone are this machine's."""
    for name, text in OBJECTS["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text.replace('"/models/model"', f'"{toy_model}"').replace('"model"', '"toy"'))
    pyramids, port = tmp_path / "pyramids", free_port()
    pyramids.mkdir()
    arguments = [
        text.replace("/etc/tfvs", str(tmp_path)).replace("/data/pyramids", str(pyramids)) for text in CONTAINER["args"]
    ]
    process, grpc_port = start_process(*arguments, f"--rest_api_port={port}")
    try:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert get(port, CONTAINER[probe]["httpGet"]["path"]) == 200
            assert CONTAINER[probe]["httpGet"]["port"] == "rest"
        assert factor(stub(grpc_port)) == 2.0
        notes = POD["metadata"]["annotations"]
        assert notes["prometheus.io/path"] == read_metrics_path(str(tmp_path / "monitoring.config"))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", notes["prometheus.io/path"])
        page = connection.getresponse().read().decode()
        scaled_by = OBJECTS["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
        assert re.search(rf"^{scaled_by} 0.0$", page, re.M)
        connection.close()

        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert get(port, CONTAINER["readinessProbe"]["httpGet"]["path"]) == 503
        assert get(port, CONTAINER["livenessProbe"]["httpGet"]["path"]) == 200
        assert factor(stub(grpc_port)) == 2.0  # whoever has not noticed yet is still answered
        assert process.wait(30) == 0
        assert time.monotonic() - begun >= float(option("shutdown_delay_seconds"))
    finally:
        process.kill()
        process.wait()
