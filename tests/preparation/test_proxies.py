"""Proxies made again from the pyramids: the records are those of a preparation with that recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.preparation.images import write_folder
from tests.preparation.test_local import OPTIONS, contents, make_job
from tfvs.errors import DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import DEAD_LETTERS, Job
from tfvs.preparation.local import run_local
from tfvs.preparation.prepared import PreparedSet
from tfvs.preparation.readers import make_reader

OTHER = ProxyRecipe(height=12, width=20, channels=3, noise=4.0)


def prepare(data: Path, output: Path, recipe: ProxyRecipe) -> PreparedSet:
    job = Job(
        make_reader("folder", str(data)), OPTIONS.replace(proxy=recipe), f"{output}/records", f"{output}/pyramids"
    )
    run_local(job, workers=1)
    return PreparedSet(output)


def test_records_are_those_of_a_preparation_with_that_recipe(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "in", 20)
    first = prepare(data, tmp_path / "first", OPTIONS.proxy)
    anew = prepare(data, tmp_path / "anew", OTHER)
    files = first.files("train", OTHER)
    (tmp_path / "anew" / "records" / DEAD_LETTERS).unlink()
    assert contents(Path(files[0]).parents[1]) == contents(tmp_path / "anew" / "records")
    assert first.files("train", OTHER) == files
    assert first.files("train", OPTIONS.proxy) == first.files("train")
    assert anew.manifest.proxy == OTHER
    assert first.class_names == ("class0", "class1")


def test_proxies_of_other_images_are_not_made_up(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "in", 3)
    (tmp_path / "in" / "manifest.csv").write_text(
        "path,label,proxy\n" + "".join(f"class{n % 2}/000{n}.png,{n},class0/0000.png\n" for n in range(3))
    )
    run_local(make_job(data, tmp_path / "out"), workers=1)
    (tmp_path / "out" / "r").rename(tmp_path / "out" / "records")
    prepared = PreparedSet(tmp_path / "out")
    assert prepared.class_names == ("0", "1", "2")
    with pytest.raises(DataError, match="other images"):
        prepared.files(prepared.splits[0], OTHER)
