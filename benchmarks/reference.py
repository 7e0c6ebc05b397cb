"""How fast the machine is at the moment."""

import time
from typing import Final

import numpy as np

__all__ = ["Reference"]

_ADDITIONS: Final = 300_000
_SECONDS: Final = 2.0


class Reference:
    """What a fixed piece of work takes, now and then while something else runs."""

    def __init__(self) -> None:
        self._found = [_reference_ms()]
        self._next = time.monotonic() + _SECONDS

    def look(self) -> None:
        """Measure again, unless that was done a moment ago."""
        if time.monotonic() >= self._next:
            self._found.append(_reference_ms())
            self._next = time.monotonic() + _SECONDS

    @property
    def median(self) -> float:
        """Milliseconds."""
        return float(np.median(self._found))


def _reference_ms() -> float:
    """The CPU milliseconds that a fixed loop takes this thread. Whoever shares the core takes a part of what it can do,
    so under load it says what a millisecond of CPU is worth there: figures of two runs are compared in proportion."""
    begun = time.thread_time()
    total = 0
    for number in range(_ADDITIONS):
        total += number
    return (time.thread_time() - begun) * 1e3
