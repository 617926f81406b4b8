"""The layout of GTSDB's archive."""

from pathlib import Path

import pytest
from PIL import Image

from tfvs.errors import ConfigError, DataError
from tfvs.preparation.readers import make_reader
from tfvs.preparation.sources import PassedOver, Rejected, Source


def write(folder: Path, numbers: list[int], ground_truth: str, suffix: str = ".jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.new("RGB", (8, 6)).save(folder / f"{number:05d}{suffix}")
    (folder / "gt.txt").write_text(ground_truth)


TRUTH = "00000.ppm;1;2;3;4;0\n00000.ppm;1;2;3;4;14\n00479.ppm;1;2;3;4;14\n00600.ppm;1;2;3;4;8\n"


def test_photographs_with_their_speed_limits(tmp_path: Path) -> None:
    write(tmp_path / "FullIJCNN2013", [0, 479, 480, 599, 600], TRUTH, ".ppm")
    write(tmp_path / "FullIJCNN2013", [0, 480], TRUTH, ".jpg")
    (tmp_path / "FullIJCNN2013" / "00").mkdir()
    (tmp_path / "FullIJCNN2013" / "ReadMe.txt").write_text("about")
    reader = make_reader("gtsdb", str(tmp_path))
    *passed, first, second, third, fourth, fifth = reader.read()
    found = [first, second, third, fourth, fifth]
    assert [Path(item.uri).name for item in passed if isinstance(item, PassedOver)] == ["00000.jpg", "00480.jpg"]
    assert all(isinstance(item, Source) for item in found)
    assert [(item.image_id, item.label, item.split, Path(item.uri).suffix) for item in found] == [
        ("00000", 1, "train", ".ppm"),
        ("00479", 0, "train", ".ppm"),
        ("00480", 0, "eval", ".ppm"),
        ("00599", 0, "eval", ".ppm"),
        ("00600", 5, "test", ".ppm"),
    ]
    assert reader.inputs() == [str(tmp_path / "FullIJCNN2013" / "gt.txt")]


def test_other_classes_and_a_part_without_test_photographs(tmp_path: Path) -> None:
    write(tmp_path, [0, 419, 420, 479, 480, 599], TRUTH)
    found = list(make_reader("gtsdb", str(tmp_path), ("stop", "none")).read())
    assert [item.split for item in found] == ["train", "train", "eval", "eval", "test", "test"]
    assert {item.image_id: item.label for item in found}["00479"] == 0
    assert {item.image_id: item.label for item in found}["00480"] == 1


def test_a_damaged_line_costs_its_photograph_alone(tmp_path: Path) -> None:
    write(tmp_path, [0, 1, 2], "00001.ppm;1;2;3;4;99\n00002.ppm;1;2;3;4;2\n")
    first, *others = list(make_reader("gtsdb", str(tmp_path)).read())
    assert isinstance(first, Rejected)
    assert first.image_id == "00001"
    assert "Line 1" in first.reason
    assert [(item.image_id, item.label) for item in others] == [("00000", 0), ("00002", 2)]


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gt\.txt"):
        list(make_reader("gtsdb", str(tmp_path)).read())
    write(tmp_path, [], TRUTH)
    with pytest.raises(DataError, match="photographs"):
        list(make_reader("gtsdb", str(tmp_path)).read())
    with pytest.raises(ConfigError, match="no such sign"):
        make_reader("gtsdb", str(tmp_path), ("none", "130"))
