"""More requests than the server can answer: some are refused, none waits for ever, and memory stays flat."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest

from tests.server.calls import factor
from tests.server.toy import write_toy


def test_overload_is_answered_and_bounded(serve, stub, tmp_path):
    """Seconds here; minutes with the slow marker below."""
    overload(serve, stub, tmp_path, seconds=6, max_queued_requests=8)


@pytest.mark.slow
def test_overload_for_two_minutes(serve, stub, tmp_path):
    overload(serve, stub, tmp_path, seconds=120, max_queued_requests=8)


@pytest.mark.slow
def test_overload_of_the_batching_queue_for_a_minute(serve, stub, tmp_path):
    parameters = tmp_path / "batching.txt"
    parameters.write_text("max_batch_size { value: 1 }\nmax_enqueued_batches { value: 2 }\n")
    batching = {"enable_batching": True, "batching_parameters_file": str(parameters), "grpc_max_threads": 16}
    codes = overload(serve, stub, tmp_path, seconds=60, **batching)
    assert codes[grpc.StatusCode.UNAVAILABLE] > 10


def overload(serve, stub, tmp_path: Path, seconds: float, **options) -> dict[grpc.StatusCode, int]:
    base = tmp_path / "toy"
    write_toy(base / "1", 1.0, delay_steps=60)
    server = serve(base, **{"grpc_max_threads": 4, **options})
    client = stub(server)
    factor(client)
    process = psutil.Process()
    latencies, codes, ended, memory = [], {}, threading.Event(), []

    def load() -> None:
        while not ended.is_set():
            start = time.monotonic()
            try:
                factor(client)
                code = grpc.StatusCode.OK
                latencies.append(time.monotonic() - start)
            except grpc.RpcError as error:
                code = error.code()
                time.sleep(0.01)
            codes[code] = codes.get(code, 0) + 1

    with ThreadPoolExecutor(40) as pool:
        for _ in range(40):
            pool.submit(load)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(seconds / 10)
            memory.append(process.memory_info().rss)
        ended.set()
    assert set(codes) <= {
        grpc.StatusCode.OK,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
    assert codes[grpc.StatusCode.OK] > 10
    assert sum(codes.values()) - codes[grpc.StatusCode.OK] > 10
    assert max(memory[5:]) - max(memory[:5]) < 100 * 2**20
    assert np.percentile(latencies, 99) < 10 * np.median(latencies) + 1.0
    return codes
