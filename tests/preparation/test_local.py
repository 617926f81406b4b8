"""The job without Beam gives what Beam gives, byte for byte, and ends as it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.preparation.images import write_folder, write_png
from tfvs.data.dataset import find_files, read_manifest
from tfvs.errors import ConfigError, ResourceError, TooManyRejectedError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import DEAD_LETTERS, Job
from tfvs.preparation.local import run_local
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), tile_size=32, compression="none", decoder="direct")


def make_job(data: Path | str, output: Path, **fields: Any) -> Job:
    fields = {"options": OPTIONS, "max_rejected": 0.5, "num_shards": 2, **fields}
    return Job(make_reader("auto", str(data)), records_root=f"{output}/r", pyramid_root=f"{output}/p", **fields)


def contents(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Twelve classes; a file that is no image, one image under two labels, one twice under one, and a side file."""
    root = write_folder(tmp_path / "in", 24, classes=12)
    (root / "class0" / "bad.png").write_bytes(b"no image")
    (root / "class0" / "both.png").write_bytes((root / "class1" / "0001.png").read_bytes())
    (root / "class2" / "again.png").write_bytes((root / "class2" / "0002.png").read_bytes())
    (root / "class3" / "Thumbs.db").write_bytes(b"x")
    return root


@pytest.mark.tfx
def test_the_bytes_are_those_of_beam(mixed: Path, tmp_path: Path) -> None:
    beam = pytest.importorskip("apache_beam")
    from components.job import run_job

    told: list[tuple[int, int]] = []
    by_beam = run_job(make_job(mixed, tmp_path / "beam"), beam.Pipeline)
    alone = run_local(make_job(mixed, tmp_path / "alone", progress=lambda *counts: told.append(counts)), workers=3)
    assert alone == by_beam
    assert contents(tmp_path / "alone") == contents(tmp_path / "beam")
    assert (alone["written"], alone["rejected_by_stage"]) == (24, {"conflict": 2, "pyramid": 1})
    assert (told[0], told[-1]) == ((1, 27), (27, 27))


def test_a_second_run_in_processes_gives_the_same_bytes_and_names_the_classes(mixed: Path, tmp_path: Path) -> None:
    run_local(make_job(mixed, tmp_path / "out"), workers=1)
    first = contents(tmp_path / "out")
    run_local(make_job(mixed, tmp_path / "out", options=OPTIONS.replace(decoder="subprocess")), workers=2)
    assert contents(tmp_path / "out") == first
    names = read_manifest(find_files(f"{tmp_path}/out/r/Split-train/*")).class_names
    assert names == tuple(sorted(f"class{number}" for number in range(12)))


def test_what_cannot_go_on_ends_the_job_with_its_own_error(mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(TooManyRejectedError, match="3 of 27 images"):
        run_local(make_job(mixed, tmp_path / "out", max_rejected=0.0), workers=2)
    assert len((tmp_path / "out" / "r" / DEAD_LETTERS).read_text().splitlines()) == 3
    (tmp_path / "taken" / "p").mkdir(parents=True)
    (tmp_path / "taken" / "p").rmdir()
    (tmp_path / "taken" / "p").write_text("a file where the pyramids' folder should be")
    with pytest.raises(ResourceError, match="cannot be written"):
        run_local(make_job(mixed, tmp_path / "taken"), workers=2)


def test_names_in_a_manifest_are_the_classes(tmp_path: Path) -> None:
    for number in range(4):
        write_png(tmp_path / "in" / f"{number}.png", seed=number)
    rows = [{"path": f"{number}.png", "label": label} for number, label in enumerate(["wolf", "ant", "wolf", ""])]
    (tmp_path / "in" / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reader = make_reader("auto", str(tmp_path / "in"))
    assert reader.class_names() == ("ant", "wolf")
    assert [source.label for source in reader.read()] == [1, 0, 1, -1]
    assert run_local(make_job(tmp_path / "in", tmp_path / "out"))["class_names"] == ["ant", "wolf"]


def test_a_number_among_names_makes_labels_indices_and_refuses_the_names(tmp_path: Path) -> None:
    rows = [{"path": "a.png", "label": 3}, {"path": "b.png", "label": "wolf"}]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reader = make_reader("manifest", str(tmp_path))
    good, bad = reader.read()
    assert (reader.class_names(), good.label) == ((), 3)
    assert "'wolf' is no class" in bad.reason


def test_a_scheme_that_nothing_reads_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfvs.preparation.files._others", None)  # as where components was never imported
    with pytest.raises(ConfigError, match=r"hdfs:// cannot be read.*components\.prepare"):
        run_local(make_job("hdfs://bucket/in", tmp_path / "out"))
