"""A SavedModel with one signature per rule of the REST API, and a client that sends bytes as they are."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import tensorflow as tf

DTYPES = (
    "int8",
    "uint8",
    "int16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "bool",
    "string",
    "half",
)


class Rules(tf.Module):
    """Every signature gives back what it gets, in one form or another."""

    def signatures(self) -> dict[str, Any]:
        def echo(dtype: tf.DType, output: str = "y") -> Any:
            return tf.function(lambda x: {output: tf.identity(x)}, input_signature=[tf.TensorSpec(None, dtype, "x")])

        def parsed(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            features = {
                "x": tf.io.FixedLenFeature([], tf.float32, 0.0),
                "offset": tf.io.FixedLenFeature([], tf.float32, 0.0),
                "n": tf.io.FixedLenFeature([], tf.int64, 0),
                "s": tf.io.FixedLenFeature([], tf.string, ""),
                "list": tf.io.VarLenFeature(tf.float32),
            }
            return tf.io.parse_example(inputs, features)

        def score(inputs: tf.Tensor) -> tf.Tensor:
            found = parsed(inputs)
            listed = tf.sparse.reduce_sum(found["list"], axis=1)
            return found["x"] + found["offset"] + tf.cast(found["n"], tf.float32) + listed

        def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            value = score(inputs)
            classes = tf.stack([parsed(inputs)["s"], tf.fill(tf.shape(value), "other")], axis=1)
            return {"classes": classes, "scores": tf.stack([value, -value], axis=1)}

        def examples(function: Any, name: str = "inputs") -> Any:
            return tf.function(function, input_signature=[tf.TensorSpec([None], tf.string, name)])

        two = [tf.TensorSpec([None, 2], tf.int32, "a"), tf.TensorSpec([None], tf.string, "s")]
        floats = [tf.TensorSpec(None, tf.float32, "x")]
        return {
            "serving_default": echo(tf.float32),
            **{name: echo(tf.dtypes.as_dtype(name)) for name in DTYPES},
            "bytes": echo(tf.string, "y_bytes"),
            "two": tf.function(lambda a, s: {"a": a + 0, "s": tf.strings.upper(s)}, input_signature=two),
            "sum": tf.function(lambda x: {"y": tf.reduce_sum(x)}, input_signature=floats),
            "uneven": tf.function(lambda x: {"y": x[:1], "z": x + 0.0}, input_signature=floats),
            "serialized": tf.function(lambda x: {"y_bytes": tf.io.serialize_tensor(x)}, input_signature=floats),
            "classify": examples(classify),
            "scores": examples(lambda inputs: {"scores": score(inputs)[:, tf.newaxis]}),
            "labels": examples(lambda inputs: {"classes": parsed(inputs)["s"][:, tf.newaxis]}),
            "one_score_in_all": examples(lambda inputs: {"scores": tf.reduce_sum(score(inputs))[None, None]}),
            "flat_scores": examples(lambda inputs: {"scores": score(inputs)}),
            "regress": examples(lambda inputs: {"outputs": score(inputs)}),
            "regress_column": examples(lambda inputs: {"outputs": score(inputs)[:, tf.newaxis]}),
            "regress_two": examples(lambda inputs: {"outputs": tf.stack([score(inputs)] * 2, axis=1)}),
            "other_input": examples(lambda examples: {"scores": score(examples)[:, tf.newaxis]}, "examples"),
            "other_output": examples(lambda inputs: {"values": score(inputs)}),
            "three_outputs": examples(lambda inputs: {**classify(inputs), "z": score(inputs)}),
            "complex": tf.function(lambda x: {"y": tf.complex(x, x)}, input_signature=floats),
        }


def write_rules(path: Path) -> Path:
    """Saves the model as one version folder."""
    rules = Rules()
    tf.saved_model.save(rules, str(path), signatures=rules.signatures())
    return path


def ask(port: int, method: str, path: str, body: bytes | str | None = None, **headers: str) -> tuple[int, Any, Any]:
    """One request.

    Returns:
      Status code, the parsed JSON of the answer (None where there is none), and the headers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body.encode() if isinstance(body, str) else body, headers)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None, response.headers
    finally:
        connection.close()
