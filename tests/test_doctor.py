"""``tfvs doctor`` says what is installed, what is missing, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tfvs.cli.main import cli
from tfvs.doctor import EXTRAS, Check, examine


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_versions_are_those_of_the_installed_packages() -> None:
    checks = by_name(list(examine()))
    for name in ("keras", "numpy", "pyvips"):
        assert checks[name].found == importlib.metadata.version(name)
    assert all(name in checks["libvips"].found for name in ("jpeg", "png", "tiff"))
    assert "CPU cores" in checks["devices"].found or "GPU" in checks["devices"].found


def test_what_is_missing_has_a_mend() -> None:
    for check in examine():
        assert (check.state == "ok") == (check.mend == ""), check


def test_a_missing_package_is_named_with_its_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    checks = by_name(list(examine()))
    for _, distribution, purpose, mend in EXTRAS:
        assert checks[distribution].state == "missing"
        assert purpose in checks[distribution].found
        assert checks[distribution].mend == mend


def test_a_disk_without_room_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tfvs.doctor.MINIMUM_FREE_GB", 1e9)
    assert by_name(list(examine(tmp_path)))["disk"].state == "missing"


def test_the_command_prints_lines_and_json() -> None:
    lines = CliRunner().invoke(cli, ["doctor"])
    assert lines.exit_code == 0, lines.output
    assert lines.output.startswith("ok       tfvs")
    values = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).output)
    assert {value["name"] for value in values} >= {"tfvs", "tensorflow", "libvips", "disk"}
