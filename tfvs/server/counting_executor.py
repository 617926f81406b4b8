"""Threads for requests that tell how many requests wait for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class CountingExecutor(ThreadPoolExecutor):
    """A pool of threads that counts the tasks that none of them has begun."""

    def __init__(self, max_workers: int, thread_name_prefix: str) -> None:
        super().__init__(max_workers, thread_name_prefix=thread_name_prefix)
        self._waiting = 0
        self._counting = threading.Lock()

    @property
    def waiting(self) -> int:
        """Tasks that wait for a thread."""
        return self._waiting

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """As in the base class."""
        self._count(1)
        try:
            future = super().submit(self._begin, fn, *args, **kwargs)
        except RuntimeError:  # the pool has been shut down
            self._count(-1)
            raise
        future.add_done_callback(self._leave)
        return future

    def _begin(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self._count(-1)
        return fn(*args, **kwargs)

    def _leave(self, future: Future) -> None:
        if future.cancelled():  # then it has never begun
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change
