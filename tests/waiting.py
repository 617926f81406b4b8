"""How long tests wait for what happens elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout_s: float = 60, told: Callable[[], object] = str) -> T:
    """What the condition gives once it is true; if it does not become true, the test fails with what is told then."""
    end = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < end, f"the condition did not come true in {timeout_s} s\n{told()}"
        time.sleep(0.02)
    return answer
