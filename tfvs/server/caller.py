"""Who waits for an answer, and for how long."""

from __future__ import annotations

import time
from typing import Protocol

# A call without a deadline has one in grpc that is hundreds of years away.
LONGEST_DEADLINE_S = 30 * 24 * 3600.0


class Caller(Protocol):
    """One request's client. A ``grpc.ServicerContext`` is one."""

    def is_active(self) -> bool:
        """Whether it still waits."""
        ...

    def time_remaining(self) -> float | None:
        """Seconds until its deadline; None: it has none."""
        ...


class PatientCaller:
    """A caller that waits for as long as it takes."""

    def is_active(self) -> bool:
        """Always."""
        return True

    def time_remaining(self) -> float | None:
        """None: there is no deadline."""
        return None


class TimedCaller:
    """A caller that waits for some time from now.

    Args:
      timeout_s: Seconds.
    """

    def __init__(self, timeout_s: float) -> None:
        self._end, self._left = time.monotonic() + timeout_s, False

    def leave(self) -> None:
        """Marks the caller as gone."""
        self._left = True

    def is_active(self) -> bool:
        """Whether it still waits."""
        return not self._left and time.monotonic() < self._end

    def time_remaining(self) -> float | None:
        """Seconds until the deadline."""
        return max(self._end - time.monotonic(), 0.0)


def timeout_of(caller: Caller) -> float | None:
    """Seconds that a computation for this caller may take; None: any time."""
    remaining = caller.time_remaining()
    return None if remaining is None or remaining > LONGEST_DEADLINE_S else remaining
