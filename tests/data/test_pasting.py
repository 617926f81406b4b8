"""Batches with pastes: pairs, labels and fields are what they say, and batch n is the same whenever it is made."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfvs.data.example import ImageRecord, TileIndex, to_example
from tfvs.data.pasting import FieldConfig, PastedBatches
from tfvs.errors import ConfigError, DataError
from tfvs.images.cut_outs import CutOut, PasteBank, PasteConfig
from tfvs.images.proxy import ProxyRecipe

HEIGHT, WIDTH = 80, 120
PROXY = ProxyRecipe(height=20, width=30, channels=3)
LABELS = [0, 0, 0, 0, 1, 1, 2]
FIELD = FieldConfig(cells=(10, 15), start_cells=3, hold_steps=2, grow_steps=4, real_share=0.25)
PASTES = PasteConfig(canvas_px=24, max_pastes=3, light=(1.0, 1.0))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Record i has label LABELS[i] and a proxy of grey 10 + 20·i, darker on the left."""
    path = str(tmp_path_factory.mktemp("records") / "records.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for i, label in enumerate(LABELS):
            pixels = np.full((20, 30, 3), 10 + 20 * i, np.uint8)
            pixels[:, :15] -= 5
            png = io.BytesIO()
            Image.fromarray(pixels).save(png, "PNG")
            levels = [(WIDTH, HEIGHT, 64, 64, 0)]
            index = TileIndex(WIDTH, HEIGHT, 3, 9000, levels, range(4), range(4), True, "none", b"", "uint8")
            record = ImageRecord(str(i), label, "00", png.getvalue(), f"{i}.tif", index)
            writer.write(to_example(record).SerializeToString())
    return [path]


def plan(files: list[str], **changes) -> PastedBatches:
    white = np.full((12, 12, 4), 255, np.uint8)
    bank = PasteBank([CutOut(white, label) for label in (0, 1, 2)], np.array([[0.5, 0.3, 12.0], [0.2, 0.8, 16.0]]))
    return PastedBatches(
        **{**dict(files=files, proxy=PROXY, bank=bank, pastes=PASTES, field=FIELD, batch_size=8, seed=4), **changes}
    )


def batches(dataset: tf.data.Dataset) -> list[dict[str, np.ndarray]]:
    return [
        {**{name: value.numpy() for name, value in inputs.items()}, "label": label.numpy()}
        for inputs, label, _ in dataset
    ]


def test_pairs_and_images_as_they_are(files: list[str]) -> None:
    made = batches(plan(files).dataset(0, 12))
    for step, batch in enumerate(made):
        full = step >= 6
        real = 2 if full else 0
        field, shown = batch["field_of_view"], (batch["paste_boxes"][..., 2] > 0).sum(1)
        assert (shown[:real] == 0).all()
        first, second = (slice(real + start, None, 2) for start in (0, 1))
        assert (batch["label"][first] > 0).all()
        assert (batch["label"][second] == 0).all()
        assert (shown[first] > shown[second]).all()
        np.testing.assert_array_equal(batch["mirrored"][first], batch["mirrored"][second])
        np.testing.assert_array_equal(batch["pyramid/uri"][first], batch["pyramid/uri"][second])
        assert set(batch["pyramid/uri"][real:]) <= {b"0.tif", b"1.tif", b"2.tif", b"3.tif"}
        for row, record in enumerate(batch["pyramid/uri"][:real]):
            assert batch["label"][row] == LABELS[int(record[:1])]
        for row in range(real, 8, 2):  # the first paste's centre is in the pair's fields, and white in the proxy
            y0, x0, y1, x1 = batch["paste_boxes"][row, 0]
            rows, columns = np.nonzero(batch["pastes"][row, 0, ..., 3])
            centre = np.array([y0 + (rows.max() + 1) / 2 / HEIGHT, x0 + (columns.max() + 1) / 2 / WIDTH])
            assert y1 - y0 == pytest.approx(24 / HEIGHT)
            assert x1 - x0 == pytest.approx(24 / WIDTH)
            for pair in (row, row + 1):
                assert (field[pair, :2] <= centre).all()
                assert (field[pair, 2:] >= centre).all()
            at = tuple((centre * PROXY.shape[:2]).astype(int))
            if shown[row] == 1:
                assert batch["proxy"][row][at].min() > batch["proxy"][row + 1][at].max() + 0.1
        sides = np.round((field[:, 2:] - field[:, :2]) * FIELD.cells)
        assert (sides == np.minimum(FIELD.side(step), FIELD.cells)).all()
        left, right = batch["proxy"][:, 0, 0, 0], batch["proxy"][:, 0, -1, 0]
        unpasted = shown == 0
        assert ((left > right) == (batch["mirrored"] == 1))[unpasted].all()


def test_records_that_end_with_zeros_arrive_whole(files: list[str], tmp_path: Path) -> None:
    """A field that the parser does not know, at the end, whose last bytes are zeros."""
    path = str(tmp_path / "zeros.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
            writer.write(record + b"\x7a\x04" + bytes(4))
    made = batches(plan([path]).dataset(0, 2))
    for one, other in zip(made, batches(plan(files).dataset(0, 2)), strict=True):
        np.testing.assert_array_equal(one["pyramid/tile_bytes"], other["pyramid/tile_bytes"])


def test_a_batch_is_the_same_whenever_it_is_made(files: list[str]) -> None:
    whole, rest = batches(plan(files).dataset(0, 8)), batches(plan(files).dataset(6, 8))
    for one, other in zip(whole[6:], rest, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(batches(plan(files, seed=5).dataset(0, 1))[0]["proxy"], whole[0]["proxy"])


def test_classes_of_images_as_they_are_have_their_shares(files: list[str]) -> None:
    full = FieldConfig(cells=(10, 15), start_cells=15, real_share=0.75)
    made = batches(plan(files, field=full, class_share=(0.0, 0.5, 0.5)).dataset(0, 50))
    labels = np.concatenate([batch["label"][:6] for batch in made])
    assert 100 < (labels == 1).sum() < 200
    assert (labels > 0).all()
    with pytest.raises(DataError, match="share"):
        plan(files, class_share=(0.5, 0.5)).dataset(0, 1)


def test_what_cannot_work(files: list[str]) -> None:
    bank = PasteBank([CutOut(np.zeros((4, 4, 4), np.uint8), 0)], np.ones([1, 3]), none_class=9)
    with pytest.raises(DataError, match="to paste into"):
        plan(files, bank=bank).dataset(0, 1)
    for wrong in ({"start_cells": 0}, {"start_cells": 16}, {"hold_steps": -1}, {"real_share": 1.0}):
        with pytest.raises(ConfigError):
            FieldConfig(cells=(10, 15), **wrong)
