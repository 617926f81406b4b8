"""What metadata knows and the disk lacks is found before a run."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ml_metadata", reason="TFX is not installed")

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as messages

from pipelines.missing import check_metadata, forget_missing
from tfvs.errors import DataError, ResourceError

pytestmark = pytest.mark.tfx


def open_store(path: Path) -> metadata_store.MetadataStore:
    connection = messages.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    return metadata_store.MetadataStore(connection)


def put(store: metadata_store.MetadataStore, kind: str, uri: Path, destination: Path | None = None) -> int:
    uri.mkdir(parents=True, exist_ok=True)
    artifact = messages.Artifact(uri=str(uri), state=messages.Artifact.LIVE)
    artifact.type_id = store.put_artifact_type(messages.ArtifactType(name=kind))
    if destination is not None:
        destination.mkdir(parents=True, exist_ok=True)
        artifact.custom_properties["pushed_destination"].string_value = str(destination)
    return store.put_artifacts([artifact])[0]


def live(path: Path) -> set[int]:
    return {a.id for a in open_store(path).get_artifacts() if a.state == messages.Artifact.LIVE}


def test_artifacts_without_files_are_forgotten_and_named(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    store = open_store(path)
    model = put(store, "Model", tmp_path / "model [1]")
    examples = put(store, "Examples", tmp_path / "examples")
    lines: list[str] = []
    assert forget_missing(path, lines.append) == 0
    assert lines == []
    shutil.rmtree(tmp_path / "model [1]")
    assert forget_missing(path, lines.append) == 1
    assert "1 Model" in lines[0]
    assert str(tmp_path / "model [1]") in lines[0]
    assert live(path) == {examples}
    assert forget_missing(path, lines.append) == 0, "it is said once"
    assert model not in live(path)


def test_a_pushed_model_is_gone_where_its_destination_is(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    store = open_store(path)
    kept = put(store, "PushedModel", tmp_path / "a", tmp_path / "serving" / "1")
    put(store, "PushedModel", tmp_path / "b", tmp_path / "serving" / "2")
    shutil.rmtree(tmp_path / "serving" / "2")
    assert forget_missing(path, lambda _: None) == 1
    assert live(path) == {kept}


def test_without_metadata_nothing_happens(tmp_path: Path) -> None:
    assert forget_missing(tmp_path / "metadata.db", print) == 0
    assert not (tmp_path / "metadata.db").exists()


@pytest.mark.parametrize("content", [b"not a database at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_metadata_file_is_named_with_the_mend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metadata.db"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"metadata\.db.*Move the file away"):
        check_metadata(path)


def test_a_truncated_metadata_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    put(open_store(path), "Model", tmp_path / "model")
    whole = path.read_bytes()
    check_metadata(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"metadata\.db"):
        check_metadata(path)


def test_what_a_killed_run_left_half_written_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "run #1 50%" / "metadata.db"
    path.parent.mkdir()
    artifact = put(open_store(path), "Model", tmp_path / "model")
    killed = (
        "import os, signal, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA cache_size = 2')\n"
        "connection.execute('BEGIN')\n"
        "connection.execute('CREATE TABLE half (x)')\n"
        "for _ in range(2000):\n"
        "    connection.execute('INSERT INTO half VALUES (?)', ('x' * 500,))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    assert path.with_name("metadata.db-journal").stat().st_size > 0
    check_metadata(path)
    assert live(path) == {artifact}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall() == []


def test_metadata_that_another_process_holds_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    open_store(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ResourceError, match=r"metadata\.db: database is locked.*another run"):
            check_metadata(path)
