import os
import subprocess
import sys

import pytest

from tfvs.errors import DataError

pytestmark = pytest.mark.tfx


def test_command_says_one_sentence_and_exits_with_its_code(tmp_path) -> None:
    environ = {**os.environ, "TFVS_DATA": str(tmp_path / "none"), "TFVS_RUNS_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "pipelines/two_digit_mnist.py"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == DataError.exit_code
    assert "error: The data folder is not there." in done.stderr
    assert "Traceback" not in done.stderr
