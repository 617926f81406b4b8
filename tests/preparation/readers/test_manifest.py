import json

import pytest

from tfvs.errors import DataError
from tfvs.preparation.readers import make_reader
from tfvs.preparation.sources import Rejected, Source


def _json_lines(tmp_path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return str(tmp_path)


@pytest.mark.tfx
def test_csv_with_all_columns(tmp_path):
    pytest.importorskip("apache_beam")
    import components  # noqa: F401  its file systems read gs://

    path = tmp_path / "list.csv"
    path.write_text("path,label,id,split,proxy,note\na.png,1,x,train,p.png,hm\n/abs/b.png,,,,,\ngs://k/c.png,0,,,,\n")
    first, second, third = make_reader("manifest", str(path)).read()
    assert first == Source("x", f"{tmp_path}/a.png", 1, "train", f"{tmp_path}/p.png")
    assert second == Source("/abs/b.png", "/abs/b.png", -1)
    assert third == Source("gs://k/c.png", "gs://k/c.png", 0)


def test_json_lines_in_a_folder(tmp_path):
    folder = _json_lines(tmp_path, {"path": "a.png", "label": 2}, "", {"path": "b.png", "label": "3", "split": "eval"})
    reader = make_reader("manifest", folder)
    assert list(reader.read()) == [
        Source("a.png", f"{tmp_path}/a.png", 2),
        Source("b.png", f"{tmp_path}/b.png", 3, "eval"),
    ]
    assert reader.inputs() == [f"{tmp_path}/manifest.jsonl"]


def test_class_names(tmp_path):
    folder = _json_lines(tmp_path, {"path": "a", "label": "cat"}, {"path": "b", "label": 1}, {"path": "c", "label": 2})
    cat, dog, none = make_reader("manifest", folder, ["cat", "dog"]).read()
    assert (cat.label, dog.label) == (0, 1)
    assert isinstance(none, Rejected)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{broken", "no JSON"),
        ("[1]", "no JSON object"),
        ({"label": 1}, "no path"),
        ({"path": "", "label": 1}, "no path"),
        ({"path": "a", "label": "cat"}, "'cat' is no class"),
        ({"path": "a", "label": -2}, "no class -2"),
        ({"path": "a", "label": 1.5}, "'1.5'|1.5"),
    ],
)
def test_a_wrong_line_is_rejected_with_its_number(tmp_path, row, reason):
    good, bad = make_reader("manifest", _json_lines(tmp_path, {"path": "g", "label": 0}, row)).read()
    assert good.image_id == "g"
    assert bad.uri.endswith("manifest.jsonl:2")
    assert any(part in bad.reason for part in reason.split("|"))


def _csv(tmp_path, text):
    (tmp_path / "manifest.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(make_reader("manifest", str(tmp_path), ["cat", "dog"]).read())


def test_a_quotation_mark_without_its_pair_costs_its_own_row(tmp_path):
    rows = [f"{number}.png,cat" for number in range(20)]
    rows[3] = '"3.png,cat'
    found = _csv(tmp_path, "path,label\n" + "\n".join(rows) + "\n")
    assert len(found) == 20
    (bad,) = (item for item in found if isinstance(item, Rejected))
    assert bad.uri.endswith("manifest.csv:5")
    assert "quotation mark" in bad.reason


def test_spaces_and_case_of_the_header_and_spaces_around_values(tmp_path):
    found = _csv(tmp_path, '\ufeffPath, Label ,split\r\na b.png, dog, Val\r\n"c,d.png",cat ,TRAIN\r\n')
    assert [(s.image_id, s.label, s.split) for s in found] == [("a b.png", 1, "eval"), ("c,d.png", 0, "train")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a\0.png,cat,", "NUL"),
        (b"caf\xe9.png,cat,", "UTF-8"),
        (b"a.png,cat", "2 columns"),
        (b"a.png,cat,train,more", "4 columns"),
        (b"a.png,cat,../../../escaped", "is none of train"),
        (b"a.png,cat,holdout", "is none of train"),
        (b"a.png,1000000000000000000000000000000,", "no class"),
        (b"a.png,1_0,", "no class"),
        (b"https://example.com/a.png,cat,", "https://"),
        (b"x" * 200_000 + b",cat,", "longer than"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path, row, reason):
    first, bad, last = _csv(tmp_path, b"path,label,split\na.png,cat,\n" + row + b"\nz.png,dog,\n")
    assert (first.image_id, last.image_id) == ("a.png", "z.png")
    assert bad.uri.endswith("manifest.csv:3")
    assert reason in bad.reason


@pytest.mark.parametrize(
    "data",
    ["path,label\na,cat\n".encode("utf-16"), b"PK\3\4....", b"\0\0\0", b"path,path\na,b\n", b"file;label\na;cat\n"],
)
def test_a_file_that_is_no_manifest_is_one_error(tmp_path, data):
    with pytest.raises(DataError, match=r"manifest\.csv"):
        _csv(tmp_path, data)


def test_csv_without_path_column_is_a_data_error(tmp_path):
    (tmp_path / "manifest.csv").write_text("file,label\na,1\n")
    with pytest.raises(DataError, match="no column 'path'"):
        list(make_reader("manifest", str(tmp_path)).read())


def test_missing_manifest_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.jsonl"):
        list(make_reader("manifest", str(tmp_path)).read())
