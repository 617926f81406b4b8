"""How long tests wait for what happens elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout_s: float = 60) -> T:
    """What the condition gives once it is true."""
    end = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < end, f"the condition did not come true in {timeout_s} s"
        time.sleep(0.02)
    return answer
