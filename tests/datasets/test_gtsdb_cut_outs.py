"""Signs cut out of photographs in GTSDB's own format."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfvs.datasets.gtsdb_cut_outs import load_signs, make_bank, outline_of, photograph
from tfvs.errors import DataError

HEIGHT, WIDTH = 40, 60
NAMES = ("50", "none", "20")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(3)
    for number in range(3):
        pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:05d}.ppm")
    lines = ["00000.ppm;40;20;59;39;0", "00001.ppm;8;10;31;33;2", "00001.ppm;0;0;9;9;14", "00009.ppm;0;0;9;9;2"]
    (tmp_path / "gt.txt").write_text("\n".join(lines))
    return tmp_path


def test_signs_are_cut_out_of_their_boxes(folder: Path) -> None:
    bank = make_bank(folder, ["00000", "00001", "00002"], NAMES)
    assert (bank.classes, bank.none_class) == ([0, 2], 1)
    assert [len(bank.by_class[label]) for label in range(3)] == [1, 1, 1]
    with Image.open(folder / "00001.ppm") as image:
        expected = np.asarray(image)[10:34, 8:32]
    (cut,) = bank.by_class[0]
    np.testing.assert_array_equal(cut.pixels[..., :3], expected)
    assert (cut.pixels[12, 12, 3], cut.pixels[0, 0, 3], cut.mirrorable) == (255, 0, False)
    assert [cut.kind for label in (1, 2) for cut in bank.by_class[label]] == [14, 0]
    np.testing.assert_allclose(bank.places[1], [22 / HEIGHT, 20 / WIDTH, 24])
    assert [outline_of(kind) for kind in (1, 12, 13, 18)] == ["ellipse", "diamond", "triangle_down", "triangle"]


def test_the_form_that_the_reader_takes(folder: Path) -> None:
    (folder / "00000.jpg").write_bytes(b"")
    root, signs = load_signs(folder)
    assert (root, len(signs["00001"])) == (folder, 2)
    assert photograph(root, "00000").suffix == ".ppm"
    with pytest.raises(DataError, match="00009"):
        make_bank(folder, ["00009"], NAMES)
    with pytest.raises(DataError, match=r"gt\.txt"):
        load_signs(folder / "none")
