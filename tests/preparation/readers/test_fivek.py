import json
import os
from pathlib import Path

import pytest

from tests.preparation.images import write_png
from tfvs.errors import ConfigError, DataError
from tfvs.preparation.readers import make_reader
from tfvs.preparation.sources import Rejected


def _touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_the_archive_as_it_is_unpacked(tmp_path):
    root = tmp_path / "fivek_dataset"
    names = ["a0001-jmac_DSC1459", "a0002-dgw_005", "a0003-x", "a0004-not_listed"]
    for number, name in enumerate(names):
        _touch(root / "raw_photos" / f"HQa{number}to9" / "photos" / f"{name}.dng")
    subjects = ["man_made", "unknown", "dragons", "people"]
    lines = [f"{name},outdoor,day,sun_sky,{subject}" for name, subject in zip(names, subjects, strict=True)]
    (root / "categories.txt").write_text("\n".join([*lines, "a9999-elsewhere,a,b,c,people"]))
    (root / "filesAdobe.txt").write_text("a0001-jmac_DSC1459\na0003-x\n")
    (root / "filesAdobeMIT.txt").write_text("a0002-dgw_005\n")
    first, second, third = make_reader("fivek", str(tmp_path)).read()
    assert (first.image_id, first.label, first.split) == (names[0], 2, None)
    assert first.uri.endswith("HQa0to9/photos/a0001-jmac_DSC1459.dng")
    assert second.label == 5
    assert isinstance(third, Rejected)
    assert len(make_reader("fivek", str(tmp_path)).inputs()) == 3


def test_the_annotation_beside_expert_files(tmp_path):
    subjects = {"a1-x_b": "animals", "a2-y": "nature"}
    entries = {name: {"categories": {"subject": subject}} for name, subject in subjects.items()}
    (tmp_path / "validation.json").write_text(json.dumps(entries))
    write_png(tmp_path / "tiff16_c" / "a1-x_b.tif")
    _touch(tmp_path / "dng" / "a1-x_b.dng")
    write_png(tmp_path / "jpg" / "a2-y_C.jpg")
    first, second = make_reader("fivek", str(tmp_path)).read()
    assert (first.uri, first.split) == (str(tmp_path / "tiff16_c" / "a1-x_b.tif"), "eval")
    assert second.uri.endswith("a2-y_C.jpg")


def test_what_is_no_fivek_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"categories\.txt"):
        list(make_reader("fivek", str(tmp_path)).read())
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(DataError, match="None of FiveK"):
        list(make_reader("fivek", str(tmp_path)).read())
    with pytest.raises(ConfigError, match="a fixed list of classes"):
        make_reader("fivek", str(tmp_path), ["a"])


def test_real_photographs_are_found():
    root = Path(os.environ.get("TFVS_TEST_DATA", "")) / "fivek"
    if not os.environ.get("TFVS_TEST_DATA") or not root.is_dir():
        pytest.skip("TFVS_TEST_DATA names no folder with fivek/")
    sources = {source.image_id: source for source in make_reader("fivek", str(root)).read()}
    assert set(sources) == {"a0001-jmac_DSC1459", "a1384-dvf_095", "a4607-050801_080948__I2E5512"}
    annotation = {}
    for name in ("training", "validation", "testing"):
        annotation.update(json.loads((root / f"{name}.json").read_text()))
    from tfvs.datasets.adobe5k import CLASS_NAMES

    for image_id, source in sources.items():
        assert CLASS_NAMES[source.label] == annotation[image_id]["categories"]["subject"]
