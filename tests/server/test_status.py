"""What clients are told of errors: a sentence, without the server's paths and nodes."""

from __future__ import annotations

import grpc
import pytest
import tensorflow as tf

from tfvs.server.status import HIDDEN, as_request_error


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "{{function_node __inference_f_12}} The batch has more than 128 images.",
            "The batch has more than 128 images.",
        ),
        ("too many [[{{node model/dense/MatMul}}]]", "too many"),
        ("/srv/models/1/assets/roots.txt; No such file or directory", f"{HIDDEN}; No such file or directory"),
        ("Expects arg[x] to be float but string is provided", "Expects arg[x] to be float but string is provided"),
        ("gs://bucket/images/a is not there", "gs://bucket/images/a is not there"),
        ("shapes [2/3] and/or [1]", "shapes [2/3] and/or [1]"),
    ],
)
def test_messages_of_tensorflow(message, shown):
    error = as_request_error(tf.errors.InvalidArgumentError(None, None, message))
    assert (error.code, error.message) == (grpc.StatusCode.INVALID_ARGUMENT, shown)


def test_operators_see_the_path_once(caplog):
    for _ in range(5):
        as_request_error(tf.errors.NotFoundError(None, None, "/srv/once/only.txt; No such file"))
    assert sum("/srv/once/only.txt" in record.getMessage() for record in caplog.records) == 1


def test_an_unexpected_error_shows_no_path():
    error = as_request_error(FileNotFoundError("cannot open /srv/models/secret.txt"))
    assert error.code == grpc.StatusCode.INTERNAL
    assert "/srv" not in error.message
