"""Resident memory of this process, as Linux counts it; the peak can be reset, unlike that of ``getrusage``."""

from __future__ import annotations

import ctypes
import gc


def current_memory_mb() -> float:
    """Resident set, MB."""
    return _status("VmRSS")


def peak_memory_mb() -> float:
    """Largest resident set since :func:`reset_peak_memory`, MB."""
    return _status("VmHWM")


def reset_peak_memory() -> None:
    """Forgets the peak so far."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def release_memory() -> None:
    """Gives back to the system what was freed and is still kept for later, so that the next peak counts it again."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _status(field: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{field}:")) / 1024
