from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from benchmarks.machine import free_port


def curl(*arguments: str) -> tuple[int, dict]:
    result = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", *arguments], capture_output=True, text=True, check=True
    )
    body, code = result.stdout.rsplit("\n", 1)
    return int(code), json.loads(body)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_rest(serve, toy_model):
    port = free_port()
    serve(toy_model, rest_api_port=port, max_message_bytes=2**20)
    url = f"http://127.0.0.1:{port}/v1/models/toy"
    assert curl("-d", '{"instances": [[1, 2, 3]]}', f"{url}:predict") == (
        200,
        {"predictions": [{"total": 12.0, "y": [2.0, 4.0, 6.0]}]},
    )
    assert curl("-d", '{"inputs": {"x": [[1, 2, 3]]}}', f"{url}/versions/1:predict")[1]["outputs"]["total"] == [12.0]
    assert curl("-d", '{"signature_name": "parse", "instances": [{"b64": "MS41"}, "2"]}', f"{url}:predict") == (
        200,
        {"predictions": [3.0, 4.0]},
    )
    code, found = curl(url)
    assert (code, found["model_version_status"][0]["state"]) == (200, "AVAILABLE")
    code, body = curl("-d", '{"signature_name": "parse", "instances": ["one"]}', f"{url}:predict")
    assert (code, set(body)) == (400, {"error"})
    assert curl("-d", '{"instances": [[1, 2, 3]]}', f"{url}:predict")[0] == 200
