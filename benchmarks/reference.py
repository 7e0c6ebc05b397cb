"""How fast the machine is at the moment."""

import time
from typing import Final

__all__ = ["reference_ms"]

_ADDITIONS: Final = 300_000


def reference_ms() -> float:
    """The CPU milliseconds that a fixed loop takes this thread. Whoever shares the core takes a part of what it can do,
    so under load it says what a millisecond of CPU is worth there: figures of two runs are compared in proportion."""
    begun = time.thread_time()
    total = 0
    for number in range(_ADDITIONS):
        total += number
    return (time.thread_time() - begun) * 1e3
