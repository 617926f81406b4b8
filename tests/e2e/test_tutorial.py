"""The tutorial from its first to its last command, as they stand: half an hour on two quiet cores."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_commands_of_the_tutorial(tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(), re.DOTALL)
    script = "set -euo pipefail\n" + "\n".join(blocks) + "\ntfvs evaluate model prepared --json > scores.json\n"
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for name in ("sheet.png", "model/1/saved_model.pb", "evaluation.html", "page.html", "looks.geojson"):
        assert (tmp_path / name).is_file(), name
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["accuracy"][3], scores["unreadable"]) == (120, 0)
    assert done.stderr.count("Next: tfvs ") >= 6
