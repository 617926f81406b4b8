from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.server.toy import request, write_toy
from tests.waiting import wait_until
from tfvs.errors import ConfigError
from tfvs.server.batching import BatchingParameters, BatchingRunner
from tfvs.server.caller import PatientCaller, TimedCaller
from tfvs.server.servable import Servable
from tfvs.server.status import RequestError


class Counting:
    """A real servable that notes the rows of each call, and waits for a gate."""

    def __init__(self, servable: Servable) -> None:
        self.servable, self.signatures, self.rows = servable, servable.signatures, []
        self.gate = threading.Event()

    def run(self, name, inputs, timeout_s=None):
        self.gate.wait(30)
        self.rows.append(len(next(iter(inputs.values()))))
        return self.servable.run(name, inputs, timeout_s)


@pytest.fixture(scope="module")
def servable(toy_model: Path) -> Servable:
    return Servable("toy", 1, str(toy_model / "1"))


def rows(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array([[value] * 3 for value in values], np.float32)}


active = PatientCaller()


class GoneCaller(PatientCaller):
    def is_active(self) -> bool:
        return False


def test_requests_that_wait_run_together_and_get_their_own_rows(servable):
    counting = Counting(servable)
    runner = BatchingRunner(BatchingParameters(max_batch_size=8, num_batch_threads=1))
    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(runner.run, counting, "serving_default", rows(0), active)
        wait_until(lambda: not runner._open)  # the only thread is busy with it
        others = [pool.submit(runner.run, counting, "serving_default", rows(i, -i), active) for i in range(1, 9)]
        wait_until(lambda: sum(b.rows for b in [*runner._open.values(), *runner._full]) == 16)
        counting.gate.set()
        assert first.result()["y"].shape == (1, 3)
        for i, future in enumerate(others, start=1):
            np.testing.assert_array_equal(future.result()["y"][:, 0], [2 * i, -2 * i])
    assert counting.rows == [1, 8, 8]
    runner.close()


def test_the_queue_is_bounded_and_a_request_larger_than_a_batch_is_refused(servable):
    counting = Counting(servable)
    runner = BatchingRunner(BatchingParameters(max_batch_size=2, num_batch_threads=1, max_enqueued_batches=1))
    with ThreadPoolExecutor(4) as pool:
        running = pool.submit(runner.run, counting, "serving_default", rows(0), active)
        wait_until(lambda: not runner._open)
        waiting = pool.submit(runner.run, counting, "serving_default", rows(1, 2), active)
        wait_until(lambda: runner._full)
        with pytest.raises(RequestError, match=r"queue .* is full") as full:
            runner.run(counting, "serving_default", rows(3), active)
        with pytest.raises(RequestError, match="Task size 3 is larger") as large:
            runner.run(counting, "serving_default", rows(1, 2, 3), active)
        counting.gate.set()
        running.result(), waiting.result()
    assert (full.value.code, large.value.code) == (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT)
    runner.close()


def test_requests_whose_client_has_gone_do_not_run(servable):
    counting = Counting(servable)
    counting.gate.set()
    runner = BatchingRunner(BatchingParameters())
    with pytest.raises(RequestError) as caught:
        runner.run(counting, "serving_default", rows(1), GoneCaller())
    assert caught.value.code == grpc.StatusCode.CANCELLED
    assert counting.rows == []
    with pytest.raises(RequestError) as caught:
        runner.run(counting, "serving_default", rows(1), TimedCaller(0.0))
    assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
    runner.close()


def test_different_shapes_and_fixed_signatures_do_not_share_a_batch(servable):
    runner = BatchingRunner(BatchingParameters())
    fixed = {"square": np.ones([2, 2], np.int32), "n": np.array(2, np.int32)}
    np.testing.assert_array_equal(runner.run(servable, "fixed", fixed, active)["out"], [[2, 2], [2, 2]])
    runner.close()


@pytest.mark.parametrize("field", ["max_batch_size", "num_batch_threads", "max_enqueued_batches"])
def test_parameters_are_checked(field):
    with pytest.raises(ConfigError, match=field):
        BatchingParameters(**{field: 0})


def test_fifty_good_and_fifty_poisoned_clients(serve, stub, tmp_path):
    base = tmp_path / "toy"
    write_toy(base / "1", 2.0)
    client = stub(serve(base, enable_batching=True))

    def good(i: int) -> float:
        answer = client.Predict(request("parse", numbers=[str(i)]), timeout=60)
        return float(tf.make_ndarray(answer.outputs["value"])[0])

    def poisoned(i: int) -> grpc.StatusCode:
        try:
            client.Predict(request("parse", numbers=[f"poison {i}"]), timeout=60)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def client_thread(i: int) -> list[bool]:
        if i % 2:
            return [poisoned(i) == grpc.StatusCode.INVALID_ARGUMENT for _ in range(5)]
        return [good(i) == 2.0 * i for _ in range(5)]

    with ThreadPoolExecutor(100) as pool:
        outcomes = [outcome for outcomes in pool.map(client_thread, range(100)) for outcome in outcomes]
    assert len(outcomes) == 500
    assert all(outcomes)
