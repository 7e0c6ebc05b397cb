"""Ends a process that hangs in a client library: the supervisor starts it again, and nothing is lost by that."""

import os
import threading
import time

import structlog

__all__ = ["EXIT_HUNG", "Watchdog"]

EXIT_HUNG = 75

_log = structlog.get_logger("watchdog")


class Watchdog:
    """`beat` must be called at least every `seconds`, else the process ends with EXIT_HUNG."""

    def __init__(self, name: str, *, seconds: float = 60.0) -> None:
        self._name = name
        self._seconds = seconds
        self._last = time.monotonic()
        self._done = threading.Event()
        threading.Thread(target=self._watch, name=f"watchdog-{name}", daemon=True).start()

    def beat(self) -> None:
        """Still at work."""
        self._last = time.monotonic()

    def stop(self) -> None:
        """No longer to be watched."""
        self._done.set()

    def _watch(self) -> None:
        while not self._done.wait(min(1.0, self._seconds / 4)):
            silent = time.monotonic() - self._last
            if silent > self._seconds:
                _log.error("no progress, ending this process", watched=self._name, seconds=round(silent))
                os._exit(EXIT_HUNG)
