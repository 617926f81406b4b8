"""The notebooks are those of the scripts beside them, and what their cells say runs as it stands."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SPEC = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_each_notebook_is_its_script() -> None:
    assert SPEC is not None
    assert SPEC.loader is not None
    tool = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(tool)
    assert len(NOTEBOOKS) == 3
    for notebook in NOTEBOOKS:
        assert notebook.read_text() == tool.to_notebook(notebook.with_suffix(".py").read_text()), notebook
        compile(code_of(notebook), str(notebook), "exec")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_run_in_order(notebook: Path, tmp_path: Path) -> None:
    script = tmp_path / "cells.py"
    script.write_text(code_of(notebook))
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
