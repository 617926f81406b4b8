"""Dynamic batching: requests that wait at the same time run together, and fail apart."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import grpc
import numpy as np

from tfvs.config import Config, option
from tfvs.server.caller import Caller, timeout_of
from tfvs.server.servable import Arrays, Servable
from tfvs.server.status import RequestError, invalid

Key = tuple[object, ...]


@dataclass(frozen=True)
class BatchingParameters(Config):
    """TensorFlow Serving's batching parameters, of the same names."""

    max_batch_size: int = option(32, "Most rows of a batch.", at_least=1)
    batch_timeout_micros: int = option(
        0,
        "Microseconds that a batch that is not full waits for more; 0: as long as all threads are busy.",
        at_least=0,
    )
    max_enqueued_batches: int = option(
        16, "Most batches that wait; above it a request is answered UNAVAILABLE.", at_least=1
    )
    num_batch_threads: int = option(2, "Number of batches that run at a time.", at_least=1)


class Runner(Protocol):
    """What runs a request that has been checked."""

    def run(self, servable: Servable, signature_name: str, inputs: Arrays, caller: Caller) -> Arrays:
        """Runs a request for as long as its caller waits."""
        ...

    def close(self, timeout_s: float | None = None) -> None:
        """Finishes what waits, for so long at most."""


class DirectRunner:
    """Runs each request by itself."""

    def run(self, servable: Servable, signature_name: str, inputs: Arrays, caller: Caller) -> Arrays:
        """Runs it, unless its client has gone."""
        if not caller.is_active():
            raise _gone(caller)
        return servable.run(signature_name, inputs, timeout_of(caller))

    def close(self, timeout_s: float | None = None) -> None:
        """Does nothing, since no request waits."""


@dataclass
class _Task:
    inputs: Arrays
    rows: int
    caller: Caller
    future: Future[Arrays] = field(default_factory=Future)


@dataclass
class _Batch:
    servable: Servable
    signature_name: str
    due: float
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0


class BatchingRunner:
    """Joins requests of the same servable, signature and row shape along the first axis.

    A batch that fails is run again request by request, so that one bad request never fails its neighbours. Signatures
    whose inputs have no free first axis run by themselves.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        self._parameters = parameters
        self.on_batch: Callable[[int], None] = lambda rows: None  # told how many rows each batch has
        self._changed = threading.Condition()
        self._open: OrderedDict[Key, _Batch] = OrderedDict()  # still taking tasks, oldest first
        self._full: list[_Batch] = []
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{i}", daemon=True)
            for i in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, servable: Servable, signature_name: str, inputs: Arrays, caller: Caller) -> Arrays:
        """Waits for its share of a batch.

        Raises:
          RequestError: UNAVAILABLE where the queue is full, INVALID_ARGUMENT where the request is larger than a batch.
        """
        rows = _rows(servable, signature_name, inputs)
        if rows is None:
            return DirectRunner().run(servable, signature_name, inputs, caller)
        limit = self._parameters.max_batch_size
        if rows > limit:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {limit}")
        task = _Task(inputs, rows, caller)
        self._enqueue(servable, signature_name, task)
        return task.future.result()

    def waiting(self) -> int:
        """Batches that wait for a thread, full or not."""
        return len(self._open) + len(self._full)

    def close(self, timeout_s: float | None = None) -> None:
        """Runs what waits, then ends the threads, for so long at most."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        end = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if end is None else max(end - time.monotonic(), 0.0))

    def _enqueue(self, servable: Servable, signature_name: str, task: _Task) -> None:
        key = (id(servable), signature_name, *_row_shapes(task.inputs))
        with self._changed:
            batch = self._open.get(key)
            if batch is not None and batch.rows + task.rows > self._parameters.max_batch_size:
                self._full.append(self._open.pop(key))
                batch = None
            if batch is None:
                if self._closed or len(self._open) + len(self._full) >= self._parameters.max_enqueued_batches:
                    raise RequestError(
                        grpc.StatusCode.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full",
                    )
                due = time.monotonic() + self._parameters.batch_timeout_micros / 1e6
                batch = self._open[key] = _Batch(servable, signature_name, due)
            batch.tasks.append(task)
            batch.rows += task.rows
            if batch.rows == self._parameters.max_batch_size:
                self._full.append(self._open.pop(key))
            self._changed.notify()

    def _take(self) -> _Batch | None:
        """The next batch to run; None at the end."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._full:
                    return self._full.pop(0)
                due = [key for key, batch in self._open.items() if self._closed or batch.due <= now]
                if due:
                    return self._open.pop(due[0])
                if self._closed:
                    return None
                waits = [batch.due - now for batch in self._open.values()]
                self._changed.wait(min(waits) if waits else None)

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            self.on_batch(batch.rows)
            run_batch(batch.servable, batch.signature_name, batch.tasks)


def run_batch(servable: Servable, signature_name: str, tasks: list[_Task]) -> None:
    """Runs tasks together and, where that fails, one by one; every future is set."""
    live = []
    for task in tasks:
        if task.caller.is_active():
            live.append(task)
        else:
            task.future.set_exception(_gone(task.caller))
    if len(live) > 1:
        rows = [task.rows for task in live]
        try:
            joined = {key: np.concatenate([task.inputs[key] for task in live]) for key in live[0].inputs}
            outputs = servable.run(signature_name, joined, _longest_timeout(live))
            splittable = all(value.ndim and value.shape[0] == sum(rows) for value in outputs.values())
        except Exception:  # each request then runs by itself, which shows which one fails
            splittable = False
        if splittable:
            for task, share in zip(live, _split(outputs, rows), strict=True):
                task.future.set_result(share)
            return
    for task in live:
        try:
            task.future.set_result(DirectRunner().run(servable, signature_name, task.inputs, task.caller))
        except Exception as error:
            task.future.set_exception(error)


def _longest_timeout(tasks: list[_Task]) -> float | None:
    """A batch runs for as long as any of its callers waits."""
    timeouts = [timeout_of(task.caller) for task in tasks]
    return max((timeout for timeout in timeouts if timeout is not None), default=None) if None not in timeouts else None


def _split(outputs: Mapping[str, np.ndarray], rows: list[int]) -> list[Arrays]:
    ends = np.cumsum(rows)
    return [
        {key: value[end - count : end] for key, value in outputs.items()} for end, count in zip(ends, rows, strict=True)
    ]


def _rows(servable: Servable, signature_name: str, inputs: Arrays) -> int | None:
    """Rows of a request that may share a batch, else None."""
    for info in servable.signatures[signature_name].inputs.values():
        if info.tensor_shape.unknown_rank or not info.tensor_shape.dim or info.tensor_shape.dim[0].size != -1:
            return None
    if not all(value.ndim for value in inputs.values()):
        return None
    counts = {value.shape[0] for value in inputs.values()}
    if len(counts) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    rows = counts.pop() if counts else 0
    return rows or None


def _row_shapes(inputs: Arrays) -> list[tuple[str, tuple[int, ...]]]:
    return [(key, inputs[key].shape[1:]) for key in sorted(inputs)]


def _gone(caller: Caller) -> RequestError:
    if timeout_of(caller) == 0.0:
        return RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline has passed.")
    return RequestError(grpc.StatusCode.CANCELLED, "The client has gone.")
