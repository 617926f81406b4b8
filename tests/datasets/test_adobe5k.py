import collections
import os
from pathlib import Path

import pytest

from tfvs.datasets.adobe5k import ANNOTATION_FILES, CLASS_NAMES, parse_annotation, parse_categories
from tfvs.errors import DataError


def test_annotation_gives_the_subject_as_class():
    text = '{"a1-x": {"categories": {"subject": "nature"}}, "a2-y": {"categories": {"subject": "fog"}}, "a3-z": {}}'
    first, second, third = parse_annotation(text, "t.json")
    assert (first.name, first.label) == ("a1-x", CLASS_NAMES.index("nature"))
    assert (second.label, second.subject) == (None, "fog")
    assert (third.label, third.subject) == (None, "missing")


def test_categories_lines():
    people, unknown, short = parse_categories("a1-x,outdoor,day,sun_sky,people\na2-y,a,b,c,unknown\n\na3-z,people\n")
    assert people.label == CLASS_NAMES.index("people")
    assert unknown.label == CLASS_NAMES.index("unknown")
    assert short.label is None


@pytest.mark.parametrize("text", ["no json", "[1, 2]"])
def test_other_files_are_told_apart(text):
    with pytest.raises(DataError, match=r"t\.json"):
        list(parse_annotation(text, "t.json"))


def test_the_public_annotation_has_its_splits_and_six_classes():
    root = os.environ.get("TFVS_TEST_DATA")
    if not root or not (Path(root) / "fivek").is_dir():
        pytest.skip("TFVS_TEST_DATA names no folder with fivek/")
    counts, names, labels = {}, [], collections.Counter()
    for split, file in ANNOTATION_FILES.items():
        photographs = list(parse_annotation((Path(root) / "fivek" / file).read_text(), file))
        counts[split] = len(photographs)
        names += [photograph.name for photograph in photographs]
        labels.update(photograph.label for photograph in photographs)
    assert counts == {"train": 3500, "eval": 500, "test": 1000}
    assert len(set(names)) == 5000
    assert set(labels) == set(range(6))
