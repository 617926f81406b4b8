"""What metadata knows and the disk lacks is found before a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("ml_metadata", reason="TFX is not installed")

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as messages

from pipelines.missing import check_metadata, forget_missing
from tfvs.errors import DataError

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
