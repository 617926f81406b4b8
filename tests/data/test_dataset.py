import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfvs.data.dataset import (
    Share,
    balanced_class_weights,
    evaluation_dataset,
    find_files,
    read_labels,
    read_records,
    training_dataset,
)
from tfvs.data.example import ImageRecord, TileIndex, to_example
from tfvs.errors import ConfigError, DataError
from tfvs.images.proxy import ProxyRecipe

SPEC = ProxyRecipe(height=4, width=6, channels=1)


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Ten records; record i has label i, proxy value 20·i and i + 1 tiles."""
    path = str(tmp_path / "records-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for i in range(10):
            png = io.BytesIO()
            Image.fromarray(np.full((4, 6), 20 * i, np.uint8)).save(png, "PNG")
            index = TileIndex(
                64, 64, 1, 9000, [(64, 64, 64, 64, 0)], range(i + 1), range(i + 1), True, "none", b"", "uint8"
            )
            writer.write(
                to_example(ImageRecord(str(i), i, "00", png.getvalue(), f"{i}.tif", index)).SerializeToString()
            )
    return find_files(path)


def labels_of(dataset: tf.data.Dataset) -> list[list[int]]:
    return [label.numpy().tolist() for _, label, _ in dataset]


def test_no_files() -> None:
    with pytest.raises(DataError, match="No record files"):
        find_files("/nowhere/*.gz")


def test_labels(files) -> None:
    assert read_labels(files).tolist() == list(range(10))


def test_inputs(files) -> None:
    inputs, labels, _ = next(iter(evaluation_dataset(files, SPEC, batch_size=5)))
    np.testing.assert_allclose(inputs["proxy"][:, 0, 0, 0], np.arange(5) * 20 / 255, atol=1e-6)
    assert inputs["proxy"].shape == (5, 4, 6, 1)
    assert inputs["pyramid/tile_offsets"].numpy().tolist()[1] == [0, 1, 0, 0, 0]
    assert labels.numpy().tolist() == [0, 1, 2, 3, 4]


def test_evaluation_pads_to_whole_batches(files) -> None:
    dataset = evaluation_dataset(files, SPEC, batch_size=4)
    weights = np.concatenate([weight for _, _, weight in dataset])
    assert dataset.cardinality() == 3
    assert weights.tolist() == [1.0] * 10 + [0.0] * 2


def test_evaluation_of_some(files) -> None:
    dataset = evaluation_dataset(files, SPEC, batch_size=4, limit=5)
    assert sum(float(weight.numpy().sum()) for _, _, weight in dataset) == 5


def test_epochs_are_whole_shuffled_and_different(files) -> None:
    batches = labels_of(training_dataset(files, SPEC, batch_size=5, steps_per_epoch=2, epochs=2))
    first, second = batches[0] + batches[1], batches[2] + batches[3]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))


def test_resumed_order_is_the_order_of_an_unbroken_run(files) -> None:
    options = {"batch_size": 4, "steps_per_epoch": 2, "epochs": 3, "seed": 5}
    whole = labels_of(training_dataset(files, SPEC, **options))
    resumed = training_dataset(files, SPEC, initial_epoch=1, **options)
    next(iter(resumed))  # as Keras does before it trains
    assert labels_of(resumed) == whole[2:]


def test_class_weights(files) -> None:
    weights = [float(i) for i in range(10)]
    dataset = training_dataset(files, SPEC, batch_size=10, steps_per_epoch=1, epochs=1, class_weights=weights)
    _, labels, weight = next(iter(dataset))
    assert weight.numpy().tolist() == labels.numpy().astype(float).tolist()


RATES = [0.0, 1.0, 3.0, *[0.0] * 6, 4.0]


def test_records_are_drawn_in_proportion_to_their_classes(files) -> None:
    options = {"batch_size": 10, "steps_per_epoch": 1, "epochs": 400, "seed": 3}
    batches = labels_of(training_dataset(files, SPEC, class_rates=RATES, **options))
    assert len(batches) == 400
    counts = np.bincount(np.concatenate(batches), minlength=10)
    drawn, expected = counts[[1, 2, 9]], 4000 * np.array([1, 3, 4]) / 8
    assert counts.sum() == drawn.sum()
    assert ((drawn - expected) ** 2 / expected).sum() < 13.8  # chi-squared, two degrees of freedom, one in a thousand
    assert len({tuple(batch) for batch in batches[:20]}) == 20
    ups = np.mean([np.diff(batch) > 0 for batch in batches])  # in order, no number would be followed by a smaller one
    assert 0.2 < ups < 0.4


def test_drawing_is_resumed_and_repeated(files) -> None:
    options = {"batch_size": 4, "steps_per_epoch": 2, "epochs": 3, "class_rates": RATES}
    whole = labels_of(training_dataset(files, SPEC, seed=5, **options))
    resumed = training_dataset(files, SPEC, seed=5, initial_epoch=1, **options)
    next(iter(resumed))  # as Keras does before it trains
    assert labels_of(resumed) == whole[2:]
    assert labels_of(training_dataset(files, SPEC, seed=6, **options)) != whole


def test_balanced_weights_average_to_one_over_records() -> None:
    labels = np.array([0] * 6 + [2] * 3)
    weights = balanced_class_weights(labels, 3)
    assert weights[1] == 0.0
    assert np.mean([weights[label] for label in labels]) == pytest.approx(1.0)


def test_each_host_trains_on_files_of_its_own(files, tmp_path) -> None:
    """Ten records in four files of unequal size: two hosts read disjoint files, and give equally many batches."""
    records, parts = list(read_records(files).as_numpy_iterator()), []
    for number, rows in enumerate(([0, 1], [2, 3, 4, 5], [6], [7, 8, 9])):
        parts.append(str(tmp_path / f"part-{number}.gz"))
        with tf.io.TFRecordWriter(parts[-1], "GZIP") as writer:
            for row in rows:
                writer.write(records[row])
    own = ({0, 1, 6}, {2, 3, 4, 5, 7, 8, 9})

    def batches(host: int, initial_epoch: int = 0, devices: int = 1, **options) -> list[list[int]]:
        share = Share(host, 2, devices)
        dataset = training_dataset(
            parts, SPEC, batch_size=4, steps_per_epoch=2, epochs=5, initial_epoch=initial_epoch, share=share, **options
        )
        return labels_of(dataset.take((5 - initial_epoch) * 2 * devices))

    for host in range(2):
        found = batches(host)
        assert len(found) == 10
        assert {label for batch in found for label in batch} == own[host]
        assert all(len(batch) == 2 for batch in found)  # of the global four
        assert batches(host, initial_epoch=3) == found[6:]
        assert {len(batch) for batch in batches(host, devices=2)} == {1}
        drawn = batches(host, class_rates=[1.0] * 10)
        assert {label for batch in drawn for label in batch} <= own[host]
    with pytest.raises(DataError, match="fewer record files than hosts"):
        training_dataset(parts, SPEC, batch_size=5, steps_per_epoch=1, epochs=1, share=Share(0, 5))
    with pytest.raises(ConfigError, match="does not divide"):
        training_dataset(parts, SPEC, batch_size=5, steps_per_epoch=1, epochs=1, share=Share(0, 2))
