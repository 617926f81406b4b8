"""The two layouts of the StarCraft II data set of the paper's authors."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfvs.data.dataset import find_files, read_manifest, read_records
from tfvs.data.example import from_example
from tfvs.datasets.starcraft2.layout import CLASS_NAMES, COLUMNS, VALUES, to_csv
from tfvs.errors import ConfigError, DataError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation import files
from tfvs.preparation.job import Job
from tfvs.preparation.local import run_local
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader
from tfvs.preparation.sources import PassedOver, Rejected, Source


def write_images(folder: Path, count: int) -> None:
    """Screens of 48² in a grey of their own, minimaps of 16² in another."""
    for number in range(count):
        for kind, side, grey in (("screen", 48, 10 * number), ("map", 16, 255 - 10 * number)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (side, side), (grey, grey // 2, grey)).save(folder / kind / f"{number}.png")


def row(number: int, marines: object) -> dict:
    return {"fullscreen_img": f"screen/{number}.png", "minimap_img": f"map/{number}.png", "marine_count": marines}


def read(folder: Path) -> list:
    return list(make_reader("starcraft2", str(folder)).read())


def test_the_list_by_position(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text(to_csv([row(number, number % 23) for number in range(50)]))
    found = read(tmp_path)
    assert [item.label for item in found] == [number % 23 for number in range(50)]
    assert [item.split for item in found] == ["train"] * 36 + ["eval"] * 4 + ["test"] * 10
    assert found[3] == Source("screen/3.png", str(tmp_path / "screen/3.png"), 3, "train", str(tmp_path / "map/3.png"))
    assert make_reader("starcraft2", str(tmp_path)).inputs() == [str(tmp_path / "predictions.csv")]
    assert list(make_reader("starcraft2", str(tmp_path / "predictions.csv")).read()) == found


def test_many_marines_are_counted_and_bad_rows_are_dead_letters(tmp_path: Path) -> None:
    rows = [row(0, 22), row(1, 23), row(2, "many"), row(3, "-1"), {**row(4, 1), "minimap_img": ""}, row(5, "4.0")]
    text = to_csv(rows) + "too,few\n" + ",".join(["x"] * len(COLUMNS) + ["one more"]) + "\n"
    (tmp_path / "predictions.csv").write_text(text)
    found = read(tmp_path)
    assert [(item.image_id, item.label) for item in found if isinstance(item, Source)] == [
        ("screen/0.png", 22),
        ("screen/5.png", 4),
    ]
    (passed,) = [item for item in found if isinstance(item, PassedOver)]
    assert passed.uri.endswith("predictions.csv:3")
    assert "22 marines" in passed.reason
    reasons = {item.uri.rpartition(":")[2]: item.reason for item in found if isinstance(item, Rejected)}
    assert list(reasons) == ["4", "5", "6", "8", "9"]
    assert "'many' is no number" in reasons["4"]
    assert "minimap_img" in reasons["6"]
    assert "2 columns" in reasons["8"]


def test_the_list_may_say_the_splits(tmp_path: Path) -> None:
    rows = [{**row(number, 1), "split": split} for number, split in enumerate(["test", "train", "val", "other"])]
    (tmp_path / "predictions.csv").write_text(to_csv(rows, ["split"]))
    rejected, *found = read(tmp_path)
    assert [item.split for item in found] == ["test", "train", "eval"]
    assert "'other'" in rejected.reason


def write_pair(folder: Path, counts: dict[str, list[float]]) -> None:
    """Screens of 40² in a grey of their own, minimaps of 8² in another."""
    folder.mkdir(exist_ok=True)
    for split, marines in counts.items():
        labels = np.zeros([len(marines), len(VALUES)])
        labels[:, VALUES.index("marine_count")] = marines
        labels[:, VALUES.index("marauder_count")] = 9
        with h5py.File(folder / f"{split}_dataset.hdf5", "w") as file:
            file["labels"] = labels
            grey = np.arange(len(marines), dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
            file["fullscreen_img"] = np.broadcast_to(10 * grey + 5 * (split == "test"), [len(marines), 3, 40, 40])
            file["minimap_img"] = np.broadcast_to(255 - grey, [len(marines), 3, 8, 8])


def test_the_pair(tmp_path: Path) -> None:
    write_pair(tmp_path, {"train": [*range(20), 23, -1, np.nan], "test": [5, 6]})
    found = read(tmp_path)
    sources = [item for item in found if isinstance(item, Source)]
    assert [item.label for item in sources] == [*range(20), 5, 6]
    assert [item.split for item in sources] == ["train"] * 18 + ["eval"] * 2 + ["test"] * 2
    assert [type(item) for item in found if not isinstance(item, Source)] == [PassedOver, Rejected, Rejected]
    with files.local_copy(sources[3].uri) as (path, _):
        assert (np.asarray(Image.open(path)) == np.full([40, 40, 3], 30)).all()
    pixels = np.asarray(Image.open(io.BytesIO(files.open_read(sources[3].proxy_uri or "").read())))
    assert (pixels == np.full([8, 8, 3], 252)).all()
    assert files.state(sources[3].uri) == files.state(str(tmp_path / "train_dataset.hdf5"))
    # The columns of a list beside them count.
    (tmp_path / "predictions.csv").write_text("fullscreen_img,marauder_count,minimap_img,other,x,marine_count\n")
    assert [item.label for item in read(tmp_path)][:3] == [0, 0, 0]
    (tmp_path / "predictions.csv").write_text("fullscreen_img,minimap_img,terran,marine_count\n")
    assert [item.label for item in read(tmp_path)][:3] == [9, 9, 9]


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"predictions\.csv"):
        read(tmp_path)
    (tmp_path / "predictions.csv").write_text("fullscreen_img,marine_count\n")
    with pytest.raises(DataError, match="minimap_img"):
        read(tmp_path)
    write_pair(tmp_path, {"train": [1]})
    with pytest.raises(DataError, match=r"test_dataset\.hdf5"):
        read(tmp_path)
    (tmp_path / "test_dataset.hdf5").write_bytes(b"no HDF5")
    (tmp_path / "predictions.csv").unlink()
    with pytest.raises(DataError, match=r"train_dataset|test_dataset"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="fixed list"):
        make_reader("starcraft2", str(tmp_path), ("0", "1"))
    assert make_reader("starcraft2", str(tmp_path), CLASS_NAMES)


@pytest.mark.parametrize("layout", ["csv", "hdf5"])
def test_records_hold_the_minimap(tmp_path: Path, layout: str) -> None:
    data = tmp_path / "data"
    if layout == "csv":
        write_images(data, 5)
        (data / "predictions.csv").write_text(to_csv([row(9, 3), *(row(number, number) for number in range(5))]))
    else:
        write_pair(data, {"train": [3, 4, 1, 2], "test": [0]})
    options = PrepareOptions(
        proxy=ProxyRecipe(height=8, width=8, channels=3), tile_size=32, compression="none", decoder="direct"
    )
    records, pyramids = str(tmp_path / "records"), str(tmp_path / "pyramids")
    job = Job(make_reader("starcraft2", str(data)), options, records, pyramids, num_shards=1, max_rejected=0.5)
    manifest = run_local(job, workers=1)
    assert manifest["class_names"] == list(CLASS_NAMES)
    assert (manifest["written"], manifest["rejected"]) == (5, 1 if layout == "csv" else 0)
    shards = [file for split in ("train", "test") for file in find_files(f"{records}/Split-{split}/*")]
    assert read_manifest(shards).proxy.source == "other_image"
    found = [from_example(tf.train.Example.FromString(record)) for record in read_records(shards).as_numpy_iterator()]
    assert len(found) == 5
    for record in found:
        proxy = np.asarray(Image.open(io.BytesIO(record.proxy)))
        if layout == "csv":
            number = int(record.image_id.removeprefix("screen/").removesuffix(".png"))
            assert (record.label, proxy[0, 0, 0], record.index.width) == (number, 255 - 10 * number, 48)
        else:
            split, number = record.image_id.split("-")
            assert (proxy[0, 0, 0], record.index.width) == (255 - int(number), 40)
            assert record.label == {"train": [3, 4, 1, 2], "test": [0]}[split][int(number)]
