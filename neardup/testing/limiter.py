"""The search limit in memory."""

import math

from neardup.lanes import LANES, Lane, LaneLimits, LaneState, SlidingWindow
from neardup.ports import Clock

__all__ = ["InMemorySearchLimiter"]


class InMemorySearchLimiter:
    """The port SearchLimiter for one process, without jitter."""

    def __init__(self, limits: LaneLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._windows = {lane: SlidingWindow(limits.limit(lane)) for lane in LANES}

    def largest_request(self, lane: Lane) -> int:
        return self._limits.largest_request(lane)

    def acquire(self, lane: Lane, searches: int) -> float:
        self._limits.require_possible(lane, searches)
        wait = self._windows[lane].take(searches, self._now())
        # The clock counts whole milliseconds.
        return math.ceil(wait * 1000) / 1000

    def state(self) -> tuple[LaneState, ...]:
        limits = self._limits
        return tuple(
            LaneState(
                lane=lane,
                limit=limits.limit(lane),
                used=self._windows[lane].used(self._now()),
                share=limits.share(lane),
                shared=True,
            )
            for lane in LANES
        )

    def _now(self) -> float:
        return self._clock.now_ms() / 1000
