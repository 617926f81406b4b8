"""``tfvs prepare``: a folder per class gives records, pyramids and the next command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.preparation.images import write_folder
from tfvs.cli.main import cli, main
from tfvs.data.layout import MANIFEST

SMALL = ("--tile-size", "32", "--decoder", "direct", "--workers", "1")


def test_a_folder_becomes_a_prepared_set(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "my photos", 10)
    result = CliRunner().invoke(cli, ["prepare", str(data), str(tmp_path / "out [1]"), *SMALL])
    assert result.exit_code == 0, result.output
    assert "10 listed, 10 written, 0 rejected" in result.stderr
    assert "2 classes: class0, class1" in result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"Next: tfvs train '{tmp_path}/out [1]' --output model")
    told = CliRunner().invoke(cli, ["prepare", str(data), str(tmp_path / "out [1]"), *SMALL, "--json"])
    assert json.loads(told.stdout) == json.loads((tmp_path / "out [1]" / "records" / MANIFEST).read_text())


def test_exit_codes_tell_errors_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_folder(tmp_path / "in", 3)
    (data / "class0" / "bad.png").write_bytes(b"no")
    out = str(tmp_path / "out")
    for arguments, code in (
        (["prepare", str(data), out], 6),
        (["prepare", str(data), out, "--max-rejected", "0.5"], None),
        (["prepare", str(data), out, "--proxy-keep", "3"], 2),
        (["prepare", str(tmp_path / "none"), out], 3),
        (["prepare", str(data), str(data / "class0" / "0000.png")], 5),
    ):
        try:
            main([*arguments, *SMALL])
            ended = None
        except SystemExit as end:
            ended = end.code or None
        assert ended == code, arguments
    assert "Traceback" not in capsys.readouterr().err
