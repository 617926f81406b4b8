"""The server in a container that allows nothing: nothing can be written, and the user has neither a name nor a home."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from benchmarks.machine import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
# In a mount namespace of its own, every file system is made read-only; then comes a user that no file knows.
BARE = """
mount --make-rprivate /
for place in $(awk '{print $5}' /proc/self/mountinfo | sort -r); do
  case $place in /proc*|/sys*|/dev/pts) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true;; esac
done
! touch /tmp/anything 2>/dev/null || exit 99
exec unshare --user --map-user=12345 --map-group=12345 env -i PATH=/usr/bin:/bin PYTHONPATH="$0" "$@"
"""


@pytest.mark.slow
def test_it_starts_and_answers(toy_model):
    bare = ["unshare", "--mount", "sh", "-c", BARE, str(ROOT)]
    if not shutil.which("unshare") or subprocess.run([*bare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no namespaces")
    ports = free_port(), free_port()
    arguments = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={toy_model}"]
    process = subprocess.Popen(
        [*bare, sys.executable, "-m", "tfvs", "serve", *arguments], stderr=subprocess.PIPE, text=True
    )
    try:
        url = f"http://127.0.0.1:{ports[1]}"

        def is_ready() -> bool:
            assert process.poll() is None, process.stderr.read()[-2000:] if process.stderr else ""
            try:
                return urllib.request.urlopen(f"{url}/readyz", timeout=5).status == 200
            except OSError:
                return False

        wait_until(is_ready, 240)
        body = json.dumps({"instances": [[1, 2, 3]]}).encode()
        answer = json.load(urllib.request.urlopen(f"{url}/v1/models/default:predict", body, timeout=30))
        assert answer["predictions"][0]["total"] == 12.0
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
