import copy
import subprocess
import sys

import pytest
from click.testing import CliRunner

pytestmark = pytest.mark.tfx

PIPELINE = """
import tfvs
import tfx.v1 as tfx

pipeline = tfx.dsl.Pipeline(
    pipeline_name="empty", pipeline_root={root!r}, components=[],
    metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config({root!r} + "/m.db"))
print("THE PIPELINE RAN")
tfx.orchestration.LocalDagRunner().run(pipeline)
"""


def test_run_create_takes_a_file(tmp_path, monkeypatch) -> None:
    """Registers the file under its absolute path, then runs it."""
    monkeypatch.setenv("LOCAL_HOME", str(tmp_path / "home"))
    file = tmp_path / "empty.py"
    file.write_text(PIPELINE.format(root=str(tmp_path / "root")))
    command = [sys.executable, "-m", "pipelines.tfx_cli", "run", "create", "--pipeline", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Creating a run for pipeline: empty" in done.stdout, done.stderr[-2000:]
    assert str(file) in (tmp_path / "home" / "empty" / "pipeline_args.json").read_text()


def test_a_usage_error_is_clicks_own(tmp_path) -> None:
    from tfx.tools.cli.commands.run import run_group

    from pipelines.tfx_cli import add_pipeline_option

    file = tmp_path / "empty.py"
    file.touch()
    command = copy.copy(run_group.commands["create"])
    command.params = list(map(copy.copy, command.params))
    add_pipeline_option(command)
    for given in ([], ["--pipeline", str(file), "--pipeline_name", "empty"]):
        ended = CliRunner().invoke(command, given)
        assert ended.exit_code == 2
        assert "exactly one of" in ended.output
