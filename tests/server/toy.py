"""A small SavedModel with signatures of several kinds, and requests to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2


class Toy(tf.Module):
    """Linear; ``factor`` tells versions apart; a negative string fails the whole batch, as a decoder would."""

    def __init__(self, factor: float, delay_steps: int = 0) -> None:
        self.factor = tf.Variable(factor)
        self.delay_steps = delay_steps

    def _slow(self, value: tf.Tensor) -> tf.Tensor:
        """Keeps a core busy for a while, without changing the value."""
        state = tf.ones([128, 128])
        for _ in tf.range(self.delay_steps):
            state = tf.tanh(state @ state)
        return value + 0.0 * state[0, 0]

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def scale(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        if self.delay_steps:
            x = self._slow(x)
        return {"y": x * self.factor, "total": tf.reduce_sum(x, axis=1) * self.factor}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="numbers")])
    def parse(self, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"value": tf.strings.to_number(numbers) * self.factor}

    @tf.function(
        input_signature=[tf.TensorSpec([2, 2], tf.int32, name="square"), tf.TensorSpec([], tf.int32, name="n")]
    )
    def fixed(self, square: tf.Tensor, n: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"out": square * n}


def write_toy(path: Path, factor: float, *, delay_steps: int = 0, warm_up: list[list[float]] | None = None) -> Path:
    """Writes the model elsewhere, then moves it to its place at once."""
    toy = Toy(factor, delay_steps)
    temporary = path.parent.parent / f".{path.parent.name}-{path.name}"
    signatures = {"serving_default": toy.scale, "parse": toy.parse, "fixed": toy.fixed}
    tf.saved_model.save(toy, str(temporary), signatures=signatures)
    if warm_up is not None:
        extra = temporary / "assets.extra"
        extra.mkdir()
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.CopyFrom(request("serving_default", x=np.array(warm_up, np.float32)))
        with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
            writer.write(log.SerializeToString())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(path)
    return path


def request(signature: str = "", model: str = "toy", **inputs: object) -> predict_pb2.PredictRequest:
    """A PredictRequest as TensorFlow Serving's documentation writes it."""
    result = predict_pb2.PredictRequest()
    result.model_spec.name = model
    result.model_spec.signature_name = signature
    for key, value in inputs.items():
        result.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return result
