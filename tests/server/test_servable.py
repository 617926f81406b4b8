from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from tests.server.toy import write_toy
from tfvs.errors import DataError
from tfvs.server.servable import Servable


@pytest.fixture
def servable(toy_model):
    return Servable("toy", 1, str(toy_model / "1"))


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("serving_default", {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}),
        ("parse", {"numbers": np.array([b"1.5", b"-2"], object)}),
        ("fixed", {"n": np.array(3, np.int32), "square": np.arange(4, dtype=np.int32).reshape(2, 2)}),
    ],
)
def test_a_session_answers_as_the_signature_does(servable, toy_model, signature, inputs):
    function = tf.saved_model.load(str(toy_model / "1")).signatures[signature]
    expected = function(**{key: tf.constant(value) for key, value in inputs.items()})
    answer = servable.run(signature, inputs)
    assert set(answer) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(answer[key], value.numpy())
        assert answer[key].dtype == value.numpy().dtype


def test_signatures_are_those_meant_for_serving(servable):
    assert set(servable.signatures) == {"serving_default", "parse", "fixed"}


def test_a_model_of_tensorflow_1_serves_too(tmp_path):
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        weight = tf.compat.v1.get_variable("weight", initializer=3.0, use_resource=True)
        y = x * weight
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "1"), {"x": x}, {"y": y, "the_same": y})
    answer = Servable("old", 1, str(tmp_path / "1")).run("serving_default", {"x": np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(answer["y"], [3, 6])
    np.testing.assert_array_equal(answer["the_same"], [3, 6])


def test_first_calls_at_the_same_time_all_answer(servable):
    inputs = [{"x": np.full([1, 3], i, np.float32)} for i in range(32)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda values: servable.run("serving_default", values), inputs))
    assert [float(answer["total"][0]) for answer in answers] == [6.0 * i for i in range(32)]


def test_two_versions_keep_their_own_weights(tmp_path):
    first, second = (Servable("toy", v, str(write_toy(tmp_path / "toy" / str(v), float(v)))) for v in (1, 2))
    x = {"x": np.ones([1, 3], np.float32)}
    assert first.run("serving_default", x)["y"][0, 0] == 1.0
    assert second.run("serving_default", x)["y"][0, 0] == 2.0
    del second
    assert first.run("serving_default", x)["y"][0, 0] == 1.0


def test_a_folder_without_a_model_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=f"Cannot load {tmp_path}"):
        Servable("none", 1, str(tmp_path))
