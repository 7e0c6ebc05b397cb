"""Time in a test's hand."""

__all__ = ["FakeClock"]


class FakeClock:
    """The port Clock; time passes only by `sleep`."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._microseconds = now_ms * 1000

    def now_ms(self) -> int:
        return self._microseconds // 1000

    def sleep(self, seconds: float) -> None:
        """Time moves on by this much, at once."""
        self._microseconds += round(seconds * 1_000_000)
