"""Waiting for an engine that is away: exponential, with full jitter (Brooker, AWS Architecture Blog, 2015)."""

import random

__all__ = ["BackOff"]


class BackOff:
    """The next delay in seconds, growing from `first` to at most `longest` until `reset`."""

    def __init__(self, *, first: float = 0.05, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._attempt = 0

    def next(self) -> float:
        """The delay before the next try."""
        ceiling = min(self._longest, self._first * 2.0**self._attempt)
        self._attempt = min(self._attempt + 1, 30)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads retries, guards nothing

    def reset(self) -> None:
        """The engine answered."""
        self._attempt = 0
