"""Run by test_distribution in a process of its own: batches with fewer images than devices, as JSON."""

import json

import keras
import numpy as np
import tensorflow as tf

import tfvs
from tests.models.conftest import SMALL
from tfvs.training.strategy import make_strategy


def build(**changes) -> tfvs.VariationalSaccader:
    """The small saccader, with the same weights every time, without noise."""
    keras.utils.set_random_seed(1)
    model = tfvs.VariationalSaccader(**SMALL, posterior_stddev=1e-6, initial_state_noise=0.0, **changes)
    model.build({"image": (None, 30, 40, 1), "proxy": (None, 9, 12, 1)})
    model.compile(keras.optimizers.SGD(0.01), weighted_metrics=["accuracy"])
    return model


def main() -> None:
    strategy = make_strategy(2)
    rng = np.random.default_rng(7)
    inputs = {
        "image": rng.random((9, 30, 40, 1)).astype("float32"),
        "proxy": rng.random((9, 9, 12, 1)).astype("float32"),
    }
    labels = rng.integers(0, 4, 9)
    with strategy.scope():
        model = build()
    alone = build()
    report: dict[str, dict] = {}
    for name, used in (("two", model), ("one", alone)):
        options = {"batch_size": 4, "verbose": 0}
        report[name] = {
            "predicted": used.predict(inputs, **options).logits.tolist(),
            "evaluated": used.evaluate(inputs, labels, **options, return_dict=True),
            "history": used.fit(inputs, labels, shuffle=False, epochs=2, **options).history,
        }
    first = {name: value[:1] for name, value in inputs.items()}
    for name, used in (("two", model), ("one", alone)):
        one = tf.data.Dataset.from_tensor_slices((first, labels[:1])).batch(4)
        report[name] |= {
            "fit_on_one_image": used.fit(one, verbose=0).history,
            "evaluated_on_one_image": used.evaluate(one, verbose=0, return_dict=True),
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
