"""TensorBoard gets every term of the bound and pictures that show what they say."""

import glob

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from tests.models.conftest import SMALL
from tfvs.models.saccader import VariationalSaccader
from tfvs.training.pictures import SaccadePictures, draw_saccades
from tfvs.training.trainer import TrainConfig, train

STEPS, EPOCHS = 2, 2


def read_events(folder: str) -> dict[str, list[tf.train.Example]]:
    """Tag → values in the order of the steps, of all event files below a folder."""
    found: dict[str, list] = {}
    for path in sorted(glob.glob(f"{folder}/**/events.out*", recursive=True)):
        for record in tf.data.TFRecordDataset(path):
            for value in event_pb2.Event.FromString(record.numpy()).summary.value:
                found.setdefault(f"{path.split('/')[-2]}/{value.tag}", []).append(tf.make_ndarray(value.tensor))
    return found


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> dict[str, list]:
    folder = tmp_path_factory.mktemp("tensorboard")
    random = np.random.default_rng(0)
    image = random.random([8, 24, 32, 1], np.float32)
    inputs, labels = {"image": image, "proxy": image[:, ::3, ::4]}, random.integers(0, 3, 8)
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(4)
    keras.utils.set_random_seed(0)
    model = VariationalSaccader(**{**SMALL, "num_steps": STEPS, "crop_size": 8})
    model.build({name: (None, *value.shape[1:]) for name, value in inputs.items()})
    train(
        model,
        lambda epoch: data.repeat(),
        TrainConfig(epochs=EPOCHS, batch_size=4),
        steps_per_epoch=2,
        validation_data=data,
        checkpoint_dir=str(folder / "checkpoints"),
        log_dir=str(folder / "logs"),
        callbacks=[SaccadePictures(str(folder / "logs"), {name: value[:3] for name, value in inputs.items()})],
        write=lambda _: None,
    )
    return read_events(str(folder / "logs"))


def test_every_term_of_the_bound_and_the_kl_of_every_step(events) -> None:
    for term in ("loss", "classification", "reconstruction", "kl_1", "kl_2", "accuracy"):
        for part in ("train", "validation"):
            assert len(events[f"{part}/epoch_{term}"]) == EPOCHS, term
    assert len(events["train/epoch_learning_rate"]) == EPOCHS


def test_pictures_of_every_epoch(events) -> None:
    shapes = {"proxies": (8, 8), "reconstructions": (8, 8 * STEPS), "saccades": (160, 160), "crops": (8, 8 * STEPS)}
    for tag, (height, width) in shapes.items():
        values = events[f"pictures/{tag}"]
        assert len(values) == EPOCHS
        assert [int(values[0][0]), int(values[0][1])] == [width, height]
        pictures = [tf.io.decode_png(png).numpy() for png in values[0][2:]]
        assert len(pictures) == 3
        assert pictures[0].shape[:2] == (height, width)
        assert pictures[0].std() > 0


def test_frames_lie_where_the_boxes_are() -> None:
    proxy = tf.fill([1, 8, 16, 1], 0.5)
    boxes = tf.constant([[[0.25, 0.25, 0.75, 0.5], [0.0, 0.5, 1.0, 1.0]]])
    drawn = draw_saccades(proxy, boxes).numpy()[0]
    assert drawn.shape == (80, 160, 3)
    coloured = np.any(np.abs(drawn - 0.5) > 0.01, axis=-1)
    assert coloured[18:22, 42:78].any(axis=0).all()  # the first box's upper edge, to a pixel
    assert coloured[22:58, 38:42].any(axis=1).all()
    assert not coloured[30:50, 50:70].any()  # nothing inside it
    first, second = drawn[18:22, 60], drawn[:2, 120]
    assert np.any(first[:, 0] > first[:, 1])
    assert np.any(second[:, 1] > second[:, 0])
