"""The length of the queue is that of the tasks that no thread has begun."""

import threading

import pytest

from tests.waiting import wait_until
from tfvs.server.counting_executor import CountingExecutor


def test_what_waits_is_counted_until_it_begins_or_is_cancelled():
    executor = CountingExecutor(2, "test")
    held = threading.Event()
    futures = [executor.submit(held.wait, timeout=60) for _ in range(6)]
    wait_until(lambda: executor.waiting == 4)
    assert futures[-1].cancel()
    assert executor.waiting == 3
    held.set()
    assert [future.result() for future in futures[:-1]] == [True] * 5
    assert executor.waiting == 0
    failing = executor.submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        failing.result()
    executor.shutdown(cancel_futures=True)
    with pytest.raises(RuntimeError):
        executor.submit(int)
    assert executor.waiting == 0
