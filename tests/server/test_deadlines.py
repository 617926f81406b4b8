"""A request that nobody waits for any more does not go on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.server.calls import X, factor
from tests.server.toy import request, write_toy
from tfvs.server.servable import Servable
from tfvs.server.session import make_step, public_step

LONG = 200_000  # steps: half a minute and more


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Servable:
    base = tmp_path_factory.mktemp("slow") / "toy"
    write_toy(base / "1", 2.0, delay_steps=LONG)
    return Servable("toy", 1, str(base / "1"))


def assert_stops(call) -> None:
    start = time.monotonic()
    with pytest.raises(tf.errors.DeadlineExceededError):
        call()
    assert 0.3 <= time.monotonic() - start < 5.0


def test_a_run_ends_with_its_time(slow):
    assert_stops(lambda: slow.run("serving_default", {"x": X}, 0.3))
    assert slow.run("parse", {"numbers": np.array([b"2"], object)}, 5.0)["value"][0] == 4.0


def test_tensorflow_s_public_call_serves_where_the_other_is_missing(slow, toy_model, monkeypatch):
    servable = Servable("toy", 1, str(toy_model / "1"))
    inputs = {"n": np.array(3, np.int32), "square": np.arange(4, dtype=np.int32).reshape(2, 2)}
    direct = servable.run("fixed", inputs)
    (owner,) = [kind for kind in tf.compat.v1.Session.__mro__ if "_call_tf_sessionrun" in vars(kind)]
    monkeypatch.delattr(owner, "_call_tf_sessionrun")
    fallback = make_step(servable._session, servable.signatures["fixed"])
    assert fallback.__qualname__.startswith(public_step.__name__)
    monkeypatch.undo()  # Session.run itself needs what was taken away
    (public,) = fallback([inputs[key] for key in servable.inputs["fixed"]], 5.0)
    np.testing.assert_array_equal(public, direct["out"])
    signature = slow.signatures["serving_default"]
    graph = slow._session.graph
    tensors = [
        [graph.get_tensor_by_name(i.name) for i in side.values()] for side in (signature.inputs, signature.outputs)
    ]
    assert_stops(lambda: public_step(slow._session, *tensors)([X], 0.3))


def test_the_direct_call_is_the_one_in_use(toy_model):
    servable = Servable("toy", 1, str(toy_model / "1"))
    assert make_step(servable._session, servable.signatures["fixed"]).__qualname__.startswith("_direct_step")


@pytest.mark.parametrize("batching", [False, True])
def test_requests_past_their_deadline_leave_the_server_free(serve, stub, tmp_path, batching):
    base = tmp_path / "toy"
    write_toy(base / "1", 2.0, delay_steps=LONG)
    client = stub(serve(base, enable_batching=batching, grpc_max_threads=4))

    def abandoned(_: int) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as caught:
            factor(client, timeout=0.5)
        return caught.value.code()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(abandoned, range(8))) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    start = time.monotonic()
    answer = client.Predict(request("parse", numbers=["4"]), timeout=60)
    assert tf.make_ndarray(answer.outputs["value"])[0] == 8.0
    assert time.monotonic() - start < 5.0
