import io
import json

import numpy as np
import pytest
from PIL import Image

from tfvs.datasets.writing import DESCRIPTION, MANIFEST, Sample, encode_png, write_dataset
from tfvs.errors import DataError, ResourceError


def _make(split, index):
    return Sample(np.full([4, 6], index, np.uint8), index % 2, {"note": split})


def _write(folder, counts=None, make=_make, description=None, **options):
    counts = {"train": 3, "test": 2} if counts is None else counts
    return write_dataset(folder, counts, make, description=description or {"v": 1}, class_names=["a", "b"], **options)


def test_writes_images_manifest_and_description(tmp_path):
    manifest = _write(tmp_path / "d")
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [row["path"] for row in rows] == [
        "train/000000.png",
        "train/000001.png",
        "train/000002.png",
        "test/000000.png",
        "test/000001.png",
    ]
    assert rows[1] == {"path": "train/000001.png", "label": 1, "split": "train", "note": "train"}
    assert json.loads((tmp_path / "d" / DESCRIPTION).read_text())["complete"] is True
    for row in rows:
        assert np.asarray(Image.open(tmp_path / "d" / row["path"])).shape == (4, 6)


def test_a_complete_set_is_not_made_again(tmp_path):
    _write(tmp_path)

    def fail(split, index):
        raise AssertionError("must not be made again")

    _write(tmp_path, make=fail)


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path):
    calls = []

    def stop(split, index):
        calls.append((split, index))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return _make(split, index)

    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path / "stopped", make=stop)
    assert not (tmp_path / "stopped" / MANIFEST).exists()
    before = (tmp_path / "stopped" / "train" / "000000.png").stat().st_mtime_ns
    _write(tmp_path / "stopped")
    _write(tmp_path / "whole")
    assert (tmp_path / "stopped" / "train" / "000000.png").stat().st_mtime_ns == before
    for path in (tmp_path / "whole").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "stopped" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_another_description_is_refused_unless_overwritten(tmp_path):
    _write(tmp_path)
    with pytest.raises(DataError, match="another configuration"):
        _write(tmp_path, description={"v": 2})
    _write(tmp_path, counts={"train": 1}, description={"v": 2}, overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["000000.png"]


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="other files"):
        _write(tmp_path, overwrite=True)


def test_counts_that_ask_for_nothing_are_refused(tmp_path):
    for counts in ({"train": 0}, {"train": 2, "test": -1}):
        with pytest.raises(DataError):
            _write(tmp_path, counts=counts)


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="file"):
        _write(tmp_path / "file" / "below")


def test_png_is_read_back_exactly():
    image = np.random.default_rng(0).integers(256, size=(37, 53), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(image)))), image)
