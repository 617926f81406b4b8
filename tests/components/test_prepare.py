import json

import pytest
from click.testing import CliRunner

from components.prepare import main
from tests.preparation.images import write_folder
from tfvs.errors import ConfigError
from tfvs.preparation.splits import parse_splits


def _run(*args):
    return CliRunner().invoke(main, ["--tile-size", "32", *args])


def test_writes_records_and_prints_the_manifest(tmp_path):
    write_folder(tmp_path / "in", 10)
    result = _run("--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["written"] == 10
    assert json.loads((tmp_path / "out" / "records" / "manifest.json").read_text()) == json.loads(result.stdout)
    assert "10/10" in result.stderr


def test_dry_run_writes_nothing(tmp_path):
    write_folder(tmp_path / "in", 5)
    result = _run("--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--dry-run", "--json")
    told = json.loads(result.stdout)
    assert told == {
        "class_names": ["class0", "class1"],
        "first_rejected": [],
        "labels": {"0": 3, "1": 2},
        "listed": 5,
        "passed_over": [],
        "rejected": 0,
    }
    assert not (tmp_path / "out").exists()


def test_exit_codes_tell_errors_apart(tmp_path):
    write_folder(tmp_path / "in", 3)
    (tmp_path / "in" / "class0" / "bad.png").write_bytes(b"no")
    paths = ("--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"))
    assert _run(*paths).exit_code == 6
    assert _run(*paths, "--max-rejected", "0.5").exit_code == 0
    assert _run(*paths, "--proxy-keep", "3").exit_code == 2
    assert _run("--input", str(tmp_path / "none"), "--output", str(tmp_path / "out")).exit_code == 3
    (tmp_path / "file").write_text("")
    unwritable = _run("--input", str(tmp_path / "in"), "--output", str(tmp_path / "file"))
    assert unwritable.exit_code == 5
    assert "Traceback" not in unwritable.output


def test_beam_arguments_are_passed_on(tmp_path):
    write_folder(tmp_path / "in", 3)
    result = _run(
        "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"),
        "--", "--direct_running_mode=multi_threading", "--direct_num_workers=2",
    )  # fmt: skip
    assert result.exit_code == 0, result.output


def test_wrong_splits_are_refused():
    assert parse_splits("a=1, b=2") == {"a": 1, "b": 2}
    assert parse_splits("Train=8,val=1") == {"train": 8, "eval": 1}
    for text in ("a", "val=1,eval=2"):
        with pytest.raises(ConfigError, match="train=8"):
            parse_splits(text)


def test_what_is_passed_over_and_what_is_twice_there_is_said(tmp_path):
    root = write_folder(tmp_path / "in", 6)
    (root / "class0" / "Thumbs.db").write_bytes(b"x")
    (root / "class0" / "again.png").write_bytes((root / "class0" / "0000.png").read_bytes())
    result = _run("--input", str(root), "--output", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert "7 listed, 7 written, 0 rejected" in result.output
    assert "1 passed over, a known side file, no image: " in result.output
    assert "Thumbs.db" in result.output
    assert "2 images of the same label are byte for byte one of 1" in result.output


def test_the_names_of_classes_have_no_spaces_around_them(tmp_path):
    write_folder(tmp_path / "in", 4)
    paths = ("--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"))
    result = _run(*paths, "--class-names", "class0, class1", "--json")
    assert json.loads(result.stdout)["written"] == 4
    assert _run(*paths, "--class-names", "class0,,class1").exit_code == 2
