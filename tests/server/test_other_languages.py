"""The example clients in Go, Java and Node, where their tools are installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from tests.export.saccaders import CLASS_NAMES, adapt, picture
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions

CLIENTS = Path(__file__).resolve().parents[2] / "examples" / "clients"
SETUP = {"go": ["go", "mod", "tidy"], "java": ["mvn", "-q", "-B", "compile"], "node": ["npm", "install", "--no-audit"]}
TOOLS = {"go": "go", "java": "mvn", "node": "npm"}


def command(language: str, *arguments: str) -> list[str]:
    if language == "java":
        return ["mvn", "-q", "-B", "exec:java", f"-Dexec.args={' '.join(arguments)}"]
    return {"go": ["go", "run", "."], "node": ["node", "predict.js"]}[language] + list(arguments)


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory) -> Iterator[ModelServer]:
    base = tmp_path_factory.mktemp("saccader")
    adapt(exported, base, [base])
    with ModelServer(ServerOptions(model_base_path=str(base), model_name="digits", port=0)) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("language", list(TOOLS))
def test_a_client_without_python(language, server, tmp_path):
    if shutil.which(TOOLS[language]) is None:
        pytest.skip(f"{TOOLS[language]} is not installed")
    folder = Path(shutil.copytree(CLIENTS / language, tmp_path / language))
    descriptors, image, text = tmp_path / "serving.pb", tmp_path / "photo.jpg", tmp_path / "no_image.jpg"
    subprocess.run([sys.executable, str(CLIENTS / "descriptors.py"), str(descriptors)], check=True)
    image.write_bytes(tf.io.encode_jpeg(picture(90, 120)).numpy())
    text.write_text("no image")
    subprocess.run(SETUP[language], cwd=folder, check=True, capture_output=True)
    address = f"127.0.0.1:{server.port}"

    def run(model: str, path: Path) -> subprocess.CompletedProcess[str]:
        arguments = command(language, str(descriptors), address, model, str(path))
        return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)

    answered = run("digits", image)
    found = re.search(r"\{.*\}", answered.stdout)  # Maven writes the codes of terminals around what a program prints
    assert found is not None, answered.stderr
    assert json.loads(found.group())["label"] in CLASS_NAMES
    refused = run("digits", text)
    assert refused.returncode
    assert "no JPEG or PNG" in refused.stderr
    assert run("nothing", image).returncode
