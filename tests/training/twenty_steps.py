"""Run by test_devices in a process of its own: the losses of twenty steps on so many devices, as JSON."""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import tfvs
from tests.models.conftest import SMALL
from tfvs.data.dataset import training_dataset
from tfvs.data.example import to_example
from tfvs.data.records import ImageRecord, TileIndex
from tfvs.images.proxy import ProxyRecipe, encode_png
from tfvs.training.hosts import by_records, count_hosts, host_index
from tfvs.training.strategy import make_strategy
from tfvs.training.trainer import TrainConfig, train

STEPS, BATCH, VALIDATION = 20, 8, 11


class Losses(keras.callbacks.Callback):
    """The loss after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.values.append(float(logs["loss"]))


def main(devices: int, last: int, folder: str) -> None:
    strategy = make_strategy(devices)
    rng = np.random.default_rng(7)

    def dataset(count: int, padded: int = 0) -> tf.data.Dataset:
        image = rng.random((count + padded, 30, 40, 1)).astype("float32")
        inputs = {"image": image, "proxy": image[:, ::4, ::4][:, :, :9]}
        weights = rng.random(count + padded).astype("float32")
        weights[count:] = 0.0
        slices = tf.data.Dataset.from_tensor_slices((inputs, rng.integers(0, 4, count + padded), weights))
        return slices.batch(BATCH)

    training, validation = dataset((STEPS - 1) * BATCH + last), dataset(VALIDATION, -VALIDATION % BATCH)
    keras.utils.set_random_seed(1)
    losses = Losses()
    with strategy.scope():
        # Each device would draw its own noise: without noise the losses must agree.
        model = tfvs.VariationalSaccader(**SMALL, posterior_stddev=1e-6, initial_state_noise=0.0)
        model.build({name: (None, *spec.shape[1:]) for name, spec in training.element_spec[0].items()})
        (epoch,) = train(
            model,
            lambda _: training,
            TrainConfig(epochs=1, batch_size=BATCH, num_devices=devices, zoom_from=0.8, zoom_to=0.6, warmup_steps=2),
            steps_per_epoch=STEPS,
            validation_data=validation,
            checkpoint_dir=f"{folder}/checkpoints",
            log_dir=f"{folder}/logs",
            callbacks=[] if host_index() else [losses],
            write=lambda _: None,
        )
    drawn = drawn_labels(strategy, folder) if count_hosts() == 1 else []
    print(json.dumps({"steps": losses.values, "epoch": epoch, "drawn": drawn}))


def drawn_labels(strategy: tf.distribute.Strategy, folder: str) -> list[list[int]]:
    """Labels of a few batches that are drawn with replacement, all devices' shares side by side."""
    path = f"{folder}/drawn-{strategy.num_replicas_in_sync}.tfrecord"
    index = TileIndex(9, 9, 1, 9, [(9, 9, 16, 16, 0)], [0], [9], True, "none", b"", "uint8")
    with tf.io.TFRecordWriter(path) as writer:
        for label in range(10):
            record = ImageRecord(str(label), label, "", encode_png(np.zeros([4, 4, 1], np.uint8)), "a.tif", index)
            writer.write(to_example(record).SerializeToString())
    dataset = training_dataset(
        [path],
        ProxyRecipe(height=4, width=4),
        batch_size=4,
        steps_per_epoch=2,
        epochs=2,
        class_rates=range(10),
    )
    shares = [
        strategy.experimental_local_results(labels)
        for _, labels, _ in strategy.experimental_distribute_dataset(by_records(dataset))
    ]
    return [np.concatenate([share.numpy() for share in batch]).tolist() for batch in shares]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
