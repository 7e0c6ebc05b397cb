"""The system's clock."""

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Port Clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
