import os

import pytest

from tests.preparation.images import write_png
from tfvs.errors import ConfigError, DataError
from tfvs.preparation.readers import make_reader
from tfvs.preparation.readers.image_folder import HIDDEN, NO_SPLIT, SIDE_FILE, SLIDE_PART, TOO_DEEP, TOO_SHALLOW
from tfvs.preparation.sources import PassedOver, Rejected, Source


def _sources(root):
    return [item for item in make_reader("folder", str(root)).read() if isinstance(item, Source)]


def _passed(root):
    """Reason → paths below the root."""
    found = {}
    for item in make_reader("folder", str(root)).read():
        if isinstance(item, PassedOver):
            found.setdefault(item.reason, []).append(item.uri[len(str(root)) + 1 :])
    return found


def test_class_per_sub_folder(tmp_path):
    for name in ("dog/b.png", "cat/a.png", "cat/.hidden.png", ".cache/x.png"):
        write_png(tmp_path / name)
    assert _sources(tmp_path) == [
        Source("cat/a.png", str(tmp_path / "cat" / "a.png"), 0),
        Source("dog/b.png", str(tmp_path / "dog" / "b.png"), 1),
    ]


def test_splits_above_classes(tmp_path):
    for name in ("train/dog/1.png", "val/cat/2.png", "test/dog/3.png"):
        write_png(tmp_path / name)
    found = {(s.image_id, s.label, s.split) for s in make_reader("folder", str(tmp_path) + "/").read()}
    assert found == {
        ("train/dog/1.png", 1, "train"),
        ("val/cat/2.png", 0, "eval"),
        ("test/dog/3.png", 1, "test"),
    }


def test_a_stray_file_hides_no_split(tmp_path):
    for name in ("Train/dog/1.png", "Train/cat/2.png", "Validation/cat/3.png", "Train/stray.png", "extra/x/4.png"):
        write_png(tmp_path / name)
    write_png(tmp_path / "notes.png")
    assert {(s.image_id, s.label, s.split) for s in _sources(tmp_path)} == {
        ("Train/dog/1.png", 1, "train"),
        ("Train/cat/2.png", 0, "train"),
        ("Validation/cat/3.png", 0, "eval"),
    }
    passed = _passed(tmp_path)
    assert passed == {TOO_SHALLOW: ["Train/stray.png", "notes.png"], NO_SPLIT: ["extra/x/4.png"]}


def test_classes_may_be_named_like_splits(tmp_path):
    for name in ("train/1.png", "plane/2.png", "train/wagons/3.png"):
        write_png(tmp_path / name)
    assert [(s.image_id, s.label, s.split) for s in _sources(tmp_path)] == [
        ("plane/2.png", 0, None),
        ("train/1.png", 1, None),
    ]
    assert _passed(tmp_path) == {TOO_DEEP: ["train/wagons/3.png"]}


def test_what_lies_elsewhere_is_passed_over_by_name_and_dangling_links_are_listed(tmp_path):
    for name in ("a/1.png", "a/2020/2.png", "a/.3.png"):
        write_png(tmp_path / name)
    for name in ("Thumbs.db", "1.png.aux.xml", "1.tif.OVR", "1.msk", "desktop.ini"):
        (tmp_path / "a" / name).write_bytes(b"x")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert [source.image_id for source in _sources(tmp_path)] == ["a/1.png", "a/gone.png"]
    passed = _passed(tmp_path)
    assert passed[TOO_DEEP] == ["a/2020/2.png"]
    assert passed[HIDDEN] == ["a/.3.png"]
    assert passed[SIDE_FILE] == ["a/1.msk", "a/1.png.aux.xml", "a/1.tif.OVR", "a/Thumbs.db", "a/desktop.ini"]


def test_the_parts_of_a_slide_are_no_images(tmp_path):
    for name in (
        "a/s.mrxs",
        "a/s/Slidedat.ini",
        "a/s/Data0000.dat",
        "b/t.vms",
        "b/t_map2.jpg",
        "b/t(1,0).jpg",
        "b/tu.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [source.image_id for source in _sources(tmp_path)] == ["a/s.mrxs", "b/t.vms", "b/tu.jpg"]
    assert len(_passed(tmp_path)[SLIDE_PART]) == 4


def test_a_name_that_is_no_utf_8_is_a_dead_letter(tmp_path):
    write_png(tmp_path / "a" / "1.png")
    with open(os.path.join(os.fsencode(tmp_path), b"a", b"caf\xe9.png"), "wb") as file:
        file.write(b"x")
    (rejected,) = (item for item in make_reader("folder", str(tmp_path)).read() if isinstance(item, Rejected))
    assert "UTF-8" in rejected.reason
    assert rejected.uri.encode()


@pytest.mark.parametrize("name", ["in [1]", "in *", "{a}"])
def test_the_input_is_no_pattern(tmp_path, name):
    write_png(tmp_path / name / "a" / "[x]?.png")
    for other in ("in 1", "in y", "a"):
        write_png(tmp_path / other / "b" / "2.png")
    assert [source.image_id for source in _sources(tmp_path / name)] == ["a/[x]?.png"]


def test_given_classes_set_the_order_and_refuse_others(tmp_path):
    for name in ("dog/b.png", "cat/a.png", "owl/c.png"):
        write_png(tmp_path / name)
    cat, dog, owl = make_reader("folder", str(tmp_path), ["dog", "cat"]).read()
    assert (cat.label, dog.label) == (1, 0)
    assert isinstance(owl, Rejected)
    assert "'owl' is no class" in owl.reason


def test_empty_folder_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="No images"):
        list(make_reader("folder", str(tmp_path)).read())


def test_unknown_reader_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="dicom"):
        make_reader("dicom", str(tmp_path))
