"""GTSDB's ground truth, and classes of photographs by groups of signs."""

import os
from pathlib import Path

import pytest

from tfvs.datasets.gtsdb import (
    CATEGORIES,
    SIGNS,
    SPEED_LIMITS,
    Sign,
    label_of,
    label_of_kind,
    parse_ground_truth,
    read_signs,
)
from tfvs.errors import ConfigError, DataError


def test_lines() -> None:
    text = "00001.ppm;983;388;1024;432;40\n\n00001.jpg;386;494;442;552;38\n"
    assert read_signs(text) == {"00001": [Sign(388, 983, 432, 1024, 40), Sign(494, 386, 552, 442, 38)]}
    assert Sign(0, 0, 799, 1359, 3).box() == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "line", ["00001.ppm;1;2;3;4", "00001.ppm;1;2;3;4;43", "00001.ppm;5;2;3;4;0", "00001.ppm;a;2;3;4;0", "x;1;2;3;4;0"]
)
def test_a_line_that_cannot_be_read(line: str) -> None:
    good = "00000.ppm;1;2;3;4;5"
    lines = list(parse_ground_truth(f"{good}\n{line}\n{good}"))
    assert [found.sign is None for found in lines] == [False, True, False]
    assert line in lines[1].reason
    with pytest.raises(DataError, match="Line 2"):
        read_signs(f"{good}\n{line}")


def test_classes_are_groups_of_signs() -> None:
    assert label_of_kind(SPEED_LIMITS) == {0: 1, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 7: 5, 8: 5}
    assert sorted(kind for kinds in CATEGORIES.values() for kind in kinds) == list(range(43))
    assert len(set(SIGNS)) == 43
    assert label_of_kind(("mandatory", "none", "stop+give way")) == {**dict.fromkeys(range(33, 41), 0), 13: 2, 14: 2}
    signs = [Sign(0, 0, 9, 9, kind) for kind in (14, 7, 1)]
    assert label_of(signs, SPEED_LIMITS) == 5
    assert label_of(signs[:1], SPEED_LIMITS) == 0
    assert label_of([], ("stop", "none")) == 1


@pytest.mark.parametrize("names", [("20", "30"), ("none", "31"), ("none", "20", "prohibitory"), ("none", "none", "50")])
def test_groups_that_cannot_work(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        label_of_kind(names)


def test_the_real_ground_truth() -> None:
    path = Path(os.environ.get("TFVS_TEST_DATA", "")) / "gtsdb" / "gt.txt"
    if not os.environ.get("TFVS_TEST_DATA") or not path.is_file():
        pytest.skip("TFVS_TEST_DATA names no folder with gtsdb/")
    signs = read_signs(path.read_text())
    assert all(sign.bottom < 800 and sign.right < 1360 for of_one in signs.values() for sign in of_one)
    labels = [label_of(signs.get(f"{i:05d}", []), SPEED_LIMITS) for i in range(600)]
    assert [labels.count(label) for label in range(6)] == [386, 50, 50, 39, 24, 51]
